"""The two programs that run the tests of a solution inside the sandbox, so that the solution cannot lie about them.

The runner holds the tests and a secret word, and may be looked into by nobody. The solution runs in another process,
the worker, which sees nothing of the tests but the arguments of each call. Only plain values pass between the two: what
a test compares is what was returned, and no object that says it equals everything.
"""

RUNNER = '''
import ast, builtins, ctypes, json, signal, subprocess, sys, types

ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE: from here on, no other process can read this one
given = json.loads(sys.stdin.read())


class Failed(Exception):
    """The solution did not come to an answer."""


def start():
    command = [sys.executable, "-s", "-B", "worker.py"]
    made = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    made.stdout.readline()  # it has started; how long that takes is not the solution's doing
    return made


def ask(name, args, kwargs):
    worker.stdin.write(repr((name, args, kwargs)) + "\\n")
    worker.stdin.flush()
    kind, _, said = worker.stdout.readline().rstrip("\\n").partition(" ")
    if kind == "value":
        return ast.literal_eval(said)
    error = getattr(builtins, kind, None)
    raise (error if isinstance(error, type) and issubclass(error, Exception) else Failed)(said)


class Solution(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **kwargs: ask(name, args, kwargs)


def told(**what):
    print("\\n" + json.dumps({"word": given["word"], **what}), flush=True)


def late(*_):
    raise Failed("too late")


signal.signal(signal.SIGALRM, late)
sys.modules["solution"] = Solution("solution")
worker = start()
space = {}
try:
    exec(compile(given["tests"], "tests.py", "exec"), space)
except BaseException as error:
    told(broken=f"{type(error).__name__}: {error}")
    sys.exit()
for name in [name for name in space if name.startswith("test_")]:
    passed = False
    signal.alarm(given["seconds"])
    try:
        space[name]()
        passed = True
    except BaseException:
        pass
    signal.alarm(0)
    told(test=name, passed=passed)
    if not passed:  # it may hang, or be gone, or be in the middle of an answer
        worker.kill()
        worker = start()
worker.kill()
'''
"""Reads the tests as JSON; prints a line of JSON with the word for each test."""

WORKER = """
import ast, os, sys

answers = os.fdopen(os.dup(1), "w")
answers.write("ready\\n")
answers.flush()
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
solution, trouble = None, None
try:
    import solution
except BaseException as error:
    trouble = error
for line in sys.stdin:
    try:
        if trouble is not None:
            raise trouble
        name, args, kwargs = ast.literal_eval(line)
        said = repr(getattr(solution, name)(*args, **kwargs))
        ast.literal_eval(said)
        line = "value " + said
    except BaseException as error:
        line = type(error).__name__ + " " + str(error)
    answers.write(line.replace("\\n", " ") + "\\n")
    answers.flush()
"""
"""Answers the runner's calls with the solution's functions."""
