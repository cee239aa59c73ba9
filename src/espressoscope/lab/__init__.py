"""What a laboratory keeps: its cameras by name, plates, profiles; and what may be wrong with its network.

Modules: `fleet_file` (the file people and programs write), `entries` (what stands in it), `names` and
`plates` (what things are called), `profiles` (which settings belong together), `toml_text`, `toml_lines` and
`on_disk` (changing a file without harm).
"""
