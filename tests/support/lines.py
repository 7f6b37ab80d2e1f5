"""Something that happens at one of the lines of code: a signal handler raises, or a finalizer runs."""

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

#: How a signal is delivered. "line": the handler's exception comes out at the very line. "arrival": the signal arrives
#: before a call or a jump, and Python runs the handler as soon as it does by itself, which is after that, or in the
#: beginning of what is called: these are all the points at which an exception can come out of a real signal handler.
Delivery = Literal["line", "arrival"]
DELIVERIES: tuple[Delivery, ...] = ("line", "arrival")

SIGNAL = signal.SIGUSR2

#: Between the last statement of a `with` block and its end, Python runs no signal handler, although there is another
#: "line" there. An exception at that point leaves the context open, whatever it is: `with lock:` too.
RAISES_AT_EXITS = bool(os.environ.get("RAISE_AT_EXITS"))

_LOOKS_AT_SIGNALS = ("CALL", "JUMP_BACKWARD", "JUMP_ABSOLUTE")


class LineFault:
    """Counts the steps of the running thread in code of some folders, and raises at the `at`-th.

    :param folders: or files.
    :param at: from 1; 0 for none.
    :param is_meant: tells whether the code that runs now is meant: other greenlets are not.
    :param act: called at the line, instead of anything being raised.
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
        #: If none is to be hit, where each step was: the line, or the instruction.
        self.places: list[Hashable] = []
        self.has_fired = False
        #: Whether it came out in other code than that: a signal that arrives before a switch is handled after it.
        self.hit_another = False
        #: Where that was, innermost last.
        self.where: list[str] = []
        #: By frame, the lines of its `with` statements that it is inside of.
        self._inside: dict[FrameType, set[int]] = {}

    @contextlib.contextmanager
    def armed(self) -> Iterator[None]:
        """Count and raise within this block."""
        before = signal.signal(SIGNAL, self._handle)
        tracing = sys.gettrace()
        # What a garbage collection finds here is of runs before, and comes at no step of its own. A trace function that
        # raises in its callbacks has confused Python 3.11 about where it was: an error of the interpreter came out.
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
        """Tell whether a line that begins is the end of a `with` block."""
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
        """Have the signal arrive when the trace function is over.

        Any call here would have Python run the handler at once. So it is the end of an object that sends the signal.
        """
        arriving = _Arriving()
        _coming.append(_Signal(arriving, operator.methodcaller("send")))
        _leaving.append(arriving)
        del _leaving[:]


class _Arriving:
    """What goes."""


class _Signal(weakref.ref[_Arriving]):
    """Sends the signal when an object goes, without a step of Python's."""

    send = functools.partial(_thread.interrupt_main, SIGNAL)


_coming: list[_Signal] = []
_leaving: list[_Arriving] = []


@functools.cache
def _with_lines(filename: str) -> frozenset[int]:
    """Return the lines of a file on which a `with` statement begins."""
    tree = ast.parse(Path(filename).read_text())
    return frozenset(node.lineno for node in ast.walk(tree) if isinstance(node, ast.With))


@functools.cache
def _steps_of(code: CodeType) -> frozenset[int]:
    """Return the offsets of the instructions after which Python looks whether a signal has arrived."""
    return frozenset(
        instruction.offset
        for instruction in dis.get_instructions(code)
        if instruction.opname.startswith(_LOOKS_AT_SIGNALS)
    )
