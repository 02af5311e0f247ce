from tests.sandbox.bubblewrap import sandbox

__all__ = ["sandbox"]
