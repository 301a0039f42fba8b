"""How others use it: the HTTP API and the command line over files."""
