"""The child of speed: an interpreter of its own for one answer, perhaps confined by itself. Stands alone.

`python -I -B fresh.py [FOLDER OF confinement.py] < JOB`: the job is {"code", "entry", "calls", "read"}; one value a line comes out.
"""

import importlib.util
import json
import os
import resource
import sys


def load(folder, name):
    """A module of the sandbox by its path."""
    spec = importlib.util.spec_from_file_location(name, f"{folder}/{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def confine(folder, read):
    """Give up what a forked process of the sandbox gives up."""
    confinement, syscalls = load(folder, "confinement"), load(folder, "syscalls")
    confinement.limit_resources(
        {resource.RLIMIT_AS: 1 << 30, resource.RLIMIT_FSIZE: 1 << 20, resource.RLIMIT_CPU: 10, resource.RLIMIT_CORE: 0}
    )
    confinement.leave_root()
    confinement.forbid_privileges()
    confinement.restrict(confinement.build_ruleset(read))
    confinement.install_filter(syscalls.allow_list(os.getpid()))


job = json.load(sys.stdin)
if sys.argv[1:]:
    confine(sys.argv[1], job["read"])
names = {"__name__": "answer"}
exec(job["code"], names)
for arguments, named in job["calls"]:
    print(json.dumps(names[job["entry"]](*arguments, **named)))
