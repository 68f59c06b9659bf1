"""The artefact store: folders, file formats, and the layout of runs."""
