"""The networks to export, by family; each module lists `Network` entries. Needs torch and its model packages."""
