"""What a device's knocks may leave open: its own address, or the right time."""

from broker.adapters.db.database import Database
from broker.devices import store
from broker.devices.errors import clock_too_loose, device_not_found, wrong_state
from broker.devices.events import DevicePolicyChanged
from broker.devices.model import Device, DeviceState
from broker.devices.store import DeviceRow


class DevicePolicies:
    """The use-case of changing it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def change(self, actor: str, device_id: str, *, allow_header_address: bool, loose_clock: bool) -> Device:
        """Say whether its knocks may take the packet's address, and whether its clock may be wrong by minutes.

        A knock that waits for a wrong clock could be caught and used later: so a loose clock needs a named address,
        which makes it useless elsewhere. Raises NotFound, Conflict `devices.wrong_state` for a retired device, Invalid
        `devices.policy_unfit` for a loose clock without a named address.
        """
        if loose_clock and allow_header_address:
            raise clock_too_loose()
        with self._database.unit_of_work() as unit:
            row = unit.session.get(DeviceRow, device_id)
            if row is None:
                raise device_not_found()
            if row.state is DeviceState.RETIRED:
                raise wrong_state(row.state.value, "be given another policy")
            if (row.allow_header_address, row.loose_clock) == (allow_header_address, loose_clock):
                return store.device_of(row)
            row.allow_header_address, row.loose_clock = allow_header_address, loose_clock
            unit.session.add(row)
            unit.emit(
                DevicePolicyChanged(
                    actor=actor,
                    subject=row.id,
                    person_id=row.person_id,
                    allow_header_address=allow_header_address,
                    loose_clock=loose_clock,
                )
            )
            return store.device_of(row)
