"""ONE camera, asynchronously: control requests, snapshots, the stream connection."""
