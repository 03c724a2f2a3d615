"""Who may be asked in the next attempt of a session that waits: one person, once."""

from __future__ import annotations

from remotenb.errors import AuthenticationFailed, LocalError
from remotenb.session.presence import Presence, Visit
from remotenb.session.retrying import Outage
from remotenb.session.supervisor import Due, Failed, Opened, Reopening, Up, WaitingForPerson
from tests.people import Person

REFUSED = AuthenticationFailed("no")
TRYING, WAITING = Reopening(Outage(0.0)), WaitingForPerson(Outage(0.0))


def presence() -> tuple[Presence, list[str]]:
    came: list[str] = []
    return Presence(None, lambda: came.append("came")), came


def test_who_came_is_asked_in_one_attempt_and_told_how_it_ended() -> None:
    there, came = presence()
    visit = Visit(Person())
    there.receive(visit)
    assert came == ["came"]
    assert there.taken() is visit
    assert there.taken() is None
    there.attend(WAITING, Failed(REFUSED))
    assert visit.over.result(0) is REFUSED


def test_a_second_person_does_not_take_the_questions_of_the_first() -> None:
    there, came = presence()
    first, second = Visit(Person()), Visit(Person())
    there.receive(first)
    assert there.taken() is first
    there.receive(second)
    assert isinstance(second.over.result(0), LocalError)
    assert (came, first.over.done()) == (["came"], False)
    there.attend(Up(0.0), Opened())
    assert first.over.result(0) is None


def test_who_came_during_an_attempt_without_them_gets_the_next_one() -> None:
    there, came = presence()
    visit = Visit(Person())
    there.receive(visit)
    there.attend(TRYING, Due())
    there.attend(WAITING, Failed(REFUSED))  # of the attempt that was on its way
    assert not visit.over.done()
    assert came == ["came", "came"]
    assert there.taken() is visit


def test_whoever_is_being_asked_is_sent_away_when_the_session_ends() -> None:
    there, _ = presence()
    left: list[bool] = []
    visit = Visit(Person(), lambda: left.append(True))
    there.send_away()
    there.receive(visit)
    there.send_away()
    there.settle(REFUSED)
    assert (left, visit.over.result(0)) == ([True], REFUSED)
