"""Running model-written Python so that it can neither harm, hang, leak nor lie about its verdict.

The parent's side: box (`Sandbox`: chooses the tier, lends servers), exchange (one run), channel (one server), launch (how
a server is started). The child's side stands alone on the standard library: server (forks a process a run),
confinement and syscalls (what the kernel then refuses), program (what a forked process does), codec (how values cross).
"""
