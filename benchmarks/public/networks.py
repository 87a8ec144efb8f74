"""The tables of all packages, and their networks."""

from public import (
    other_networks,
    timm_networks,
    torch_networks,
    torchvision_networks,
    transformers_networks,
)

TABLES = (
    *(torch_networks.TABLE, transformers_networks.TABLE, torchvision_networks.TABLE),
    *(timm_networks.TABLE, *other_networks.TABLES),
)
NETWORKS = [network for table in TABLES for network in table.networks]
