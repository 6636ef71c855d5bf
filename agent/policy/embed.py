#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""embed.py OUTPUT HEADER NAME=FILE...: files as arrays of a C source."""
import sys

with open(sys.argv[1], "w", encoding="ascii") as out:
    out.write('#include "%s"\n' % sys.argv[2])
    for argument in sys.argv[3:]:
        name, path = argument.split("=", 1)
        with open(path, "rb") as file:
            data = file.read()
        out.write("\nconst unsigned char ag_embedded_%s[] = {" % name)
        for at in range(0, len(data), 20):
            out.write("\n    " + "".join("%d," % byte for byte in data[at:at + 20]))
        out.write("\n    0\n};\n")
        out.write("const unsigned long ag_embedded_%s_bytes = %d;\n" % (name, len(data)))
