"""SNMP v1, v2c and v3: a bounded codec, one shared socket, and the questions asked over it."""
