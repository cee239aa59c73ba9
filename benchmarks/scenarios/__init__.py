"""The comparisons. Each module has ``run(bench) -> dict of Figures by name`` and says what is measured."""
