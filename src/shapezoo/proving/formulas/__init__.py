"""Formulas of sizes: solve, simplify, evaluate and print them."""
