"""The artefact store: folders, file formats, and where each run keeps its files."""
