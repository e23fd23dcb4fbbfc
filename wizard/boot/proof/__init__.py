"""The boot proof: an image is started as EC2 would start it, and must do all that an instance has to do.

image     what an image says of itself before it is started
ways      how an image can be started here: pv, bios, uefi
metadata  the instance metadata service that the guest asks for its key
network   the guest's network, and what was seen on it
login     the throw-away key, ssh, and what is asked from inside
judgement what was seen → came up, did not, or could not tell, and why
prove     one proof from start to end
"""
