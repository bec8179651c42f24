"""The fault suite: the pipeline as separate processes, a seeded story of trades, a schedule of faults, and a checker.

`story` and `faults` say from a seed what happens (pure); `pipeline` runs the processes and `gate` the connections
between them; `wreck` makes a fault happen; `trial` tells one story through all of its faults; `checker` compares the
story with the stream, the outcomes, the terminals and the archive, and shares no code with the services; `report`
says what was found. `source` stands for ingest behind a broker: the real outbox and courier with scripted trades. On a
`day` it is the real proxy, which `armed` lets end itself at each of its own points.
"""
