"""The practice cloud: a small AWS on this machine, strict where AWS is strict, with its state in a folder.

`process` starts and finds it and is cheap to import; everything else belongs to the server.
"""
