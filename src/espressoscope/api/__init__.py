"""The synchronous face: `Camera`, `discover`. Composition root and only owner of the loop thread."""
