"""What every service may rely on: the contracts of the two streams, the wire, and the ways in and out.

`facts` and `outcomes` say what is written on the streams; `wire` turns a message into a signed entry and back;
`streams` and `lease` are the only doors to Redis; `settings`, `process`, `logs`, `metrics` and `clock` are what
a service needs around its one loop. Nothing in here imports a service.
"""
