"""Makes something happen at one line of code: a signal handler raises, or a finalizer runs."""

from __future__ import annotations

import _thread
import ast
import contextlib
import dis
import functools
import gc
import operator
import os
import signal
import sys
import weakref
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Literal

from .errors_thrown import SoftLimit
from .switches import lines_of

#: How a signal is delivered. "line": the handler's exception is raised at the line itself. "arrival": the signal
#: arrives before a call or a jump, and Python runs the handler after that, or at the beginning of the called function:
#: at these points, and no others, an exception can come out of a real signal handler.
Delivery = Literal["line", "arrival"]
DELIVERIES: tuple[Delivery, ...] = ("line", "arrival")

SIGNAL = signal.SIGUSR2

#: Whether to raise at the end of ``with`` blocks too. Python runs no signal handler between the last statement and the
#: end, although tracing reports a "line" there, and an exception at it would leave any context open, even ``with
#: lock:``.
RAISES_AT_EXITS = bool(os.environ.get("RAISE_AT_EXITS"))

_LOOKS_AT_SIGNALS = ("CALL", "JUMP_BACKWARD", "JUMP_ABSOLUTE")


class LineFault:
    """Counts the current thread's steps in the code of some folders, and raises at one of them.

    :param folders: or files.
    :param at: the number of that step, from 1; 0 for none.
    :param is_meant: returns whether the code that runs now counts, as other greenlets' doesn't.
    :param act: called at that step, instead of raising.
    """

    def __init__(
        self,
        folders: tuple[Path, ...],
        at: int,
        delivery: Delivery,
        error: BaseException | None = None,
        is_meant: Callable[[], bool] = lambda: True,
        act: Callable[[], object] | None = None,
    ) -> None:
        self._folders = tuple(f"{folder}{os.sep}" if folder.is_dir() else str(folder) for folder in folders)
        self._act = act
        self._at = at
        self._delivery = delivery
        self._is_meant = is_meant
        self.error = SoftLimit() if error is None else error
        self.steps = 0
        #: The place of each step, its line or instruction, if ``at`` is 0.
        self.places: list[Hashable] = []
        self.has_fired = False
        #: Whether it was raised in other code: a signal that arrives before a switch is handled after it.
        self.hit_another = False
        #: Where it was raised, innermost last.
        self.where: list[str] = []
        #: By frame, the lines of the ``with`` statements that it is inside.
        self._inside: dict[FrameType, set[int]] = {}

    @contextlib.contextmanager
    def armed(self) -> Iterator[None]:
        """Count and raise within this block."""
        before = signal.signal(SIGNAL, self._handle)
        tracing = sys.gettrace()
        # A garbage collection would find the garbage of earlier runs, at no step in particular. And a trace function
        # that raised in its callbacks confused Python 3.11: the interpreter reported an internal error.
        collects = gc.isenabled()
        gc.disable()
        sys.settrace(self._enter)
        try:
            yield
        finally:
            sys.settrace(tracing)
            if collects:
                gc.enable()
            signal.signal(SIGNAL, before)
            self._inside.clear()

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self.has_fired = True
        self.hit_another = not self._is_meant()
        raise self.error

    def _enter(self, frame: FrameType, event: str, arg: Any) -> Any:
        if self.has_fired or not frame.f_code.co_filename.startswith(self._folders) or not self._is_meant():
            return None
        if self._delivery == "line":
            return self._trace_lines
        frame.f_trace_opcodes = True
        if self._is_step(frame):
            self._note(frame)
            self._arrive()
        return self._trace_steps

    def _is_step(self, frame: FrameType) -> bool:
        self.steps += 1
        if not self._at:
            self.places.append((frame.f_code, frame.f_lineno if self._delivery == "line" else frame.f_lasti))
        return self.steps == self._at

    def _note(self, frame: FrameType) -> None:
        self.where = lines_of(frame)

    def _trace_lines(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "return":
            self._inside.pop(frame, None)
        elif event == "line" and self._is_line(frame) and self._is_step(frame):
            self._note(frame)
            if self._act is None:
                signal.raise_signal(SIGNAL)
            else:
                self.has_fired = True
                self._act()
        return self._trace_lines

    def _is_line(self, frame: FrameType) -> bool:
        return not self.has_fired and self._is_meant() and (RAISES_AT_EXITS or not self._is_exit(frame))

    def _is_exit(self, frame: FrameType) -> bool:
        """Return whether a line that begins is the end of a ``with`` block."""
        line = frame.f_lineno
        if line not in _with_lines(frame.f_code.co_filename):
            return False
        inside = self._inside.setdefault(frame, set())
        if line in inside:
            inside.remove(line)
            return True
        inside.add(line)
        return False

    def _trace_steps(self, frame: FrameType, event: str, arg: Any) -> Any:
        is_meant = not self.has_fired and self._is_meant()
        if event == "opcode" and is_meant and frame.f_lasti in _steps_of(frame.f_code) and self._is_step(frame):
            self._note(frame)
            self._arrive()
        return self._trace_steps

    def _arrive(self) -> None:
        """Make the signal arrive when the trace function has returned.

        After any call here, Python would run the handler at once. So the end of an object sends the signal.
        """
        arriving = _Arriving()
        _coming.append(_Signal(arriving, operator.methodcaller("send")))
        _leaving.append(arriving)
        del _leaving[:]


class _Arriving:
    """The object that ends."""


class _Signal(weakref.ref[_Arriving]):
    """Sends the signal when an object ends, without running Python code."""

    send = functools.partial(_thread.interrupt_main, SIGNAL)


_coming: list[_Signal] = []
_leaving: list[_Arriving] = []


@functools.cache
def _with_lines(filename: str) -> frozenset[int]:
    """Return the lines of a file on which a ``with`` statement begins."""
    tree = ast.parse(Path(filename).read_text())
    return frozenset(node.lineno for node in ast.walk(tree) if isinstance(node, ast.With))


@functools.cache
def _steps_of(code: CodeType) -> frozenset[int]:
    """Return the offsets of the instructions after which Python checks for signals."""
    return frozenset(
        instruction.offset
        for instruction in dis.get_instructions(code)
        if instruction.opname.startswith(_LOOKS_AT_SIGNALS)
    )
