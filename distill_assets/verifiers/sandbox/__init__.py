"""Running model-written Python so that it can neither harm, hang, leak nor lie about its verdict.

The parent's side: `Sandbox` (runs jobs), tiers (what this machine offers), launch (how a server is started), channel
(talking with one server). The child's side stands alone on the standard library: server (forks a process a run),
confinement and syscalls (what the kernel then refuses), program (what a forked process does), codec (how values cross).
"""
