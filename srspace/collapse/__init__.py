"""From N candidates to one picture: sinks, one a module, which :mod:`srspace.modes` names; and the spool.

A sink is filled with the candidates of one tile, on the device. A module has a function ``make(count, inputs, network,
**parameters)`` that returns a fresh one; see :class:`srspace.modes.Sink`.
"""

from srspace.collapse.spool import Spool
from srspace.collapse.stack import StackSink, sample

__all__ = ["Spool", "StackSink", "sample"]
