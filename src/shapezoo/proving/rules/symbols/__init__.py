"""Operations on symbolic sizes themselves."""
