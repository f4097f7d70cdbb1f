from __future__ import annotations

from dataclasses import dataclass

from srspace.batch.seats import Seats


@dataclass(eq=False)
class Device:
    overlaps: bool


def test_a_picture_alone_has_its_device_for_itself():
    first, second = devices = [Device(True), Device(True)]
    seats = Seats(devices)
    assert seats.next_idle is first and seats.idle == 2
    assert seats.take_idle(1) == [first]
    assert seats.next_idle is second and seats.with_room == []
    seats.take_idle(1)
    assert seats.next_idle is None and seats.idle == 0
    seats.give_back([first, second])
    assert seats.idle == 2


def test_two_groups_share_a_device_that_overlaps():
    device = Device(True)
    seats = Seats([device])
    seats.take_for_group(device)
    assert seats.with_room == [device] and seats.next_idle is None
    seats.take_for_group(device)
    assert seats.with_room == []
    seats.give_back([device])
    assert seats.with_room == [device] and seats.next_idle is None  # not yet for a picture alone
    seats.give_back([device])
    assert seats.with_room == [] and seats.next_idle is device


def test_others_take_one_group():
    devices = [Device(False), Device(True)]
    seats = Seats(devices)
    for device in devices:
        seats.take_for_group(device)
    assert seats.with_room == devices[1:]
    assert seats.most == 3 and seats.devices == 2
