"""Facts about sensors and firmwares, as data: no logic beyond look-ups, nothing of ours imported.

`framesizes` holds picture sizes and the six ways drivers have numbered them, `firmware` the families
and their quirks, `settings` what each sensor lets you set.
"""
