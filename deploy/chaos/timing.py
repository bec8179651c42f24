"""How long things take in a trial: the shipped defaults divided by one number, so that their ratios stay as shipped."""

from msgspec import Struct

SCALE = 10.0
"""The lease may not be below a second, and its default is ten."""


class Timing(Struct, frozen=True, kw_only=True):
    """Seconds. `lease` of a lane, `window` after the fence, `deadline` of a call, `grace` of a search."""

    lease: float
    window: float
    deadline: float
    grace: float

    def over(self, scale: float) -> "Timing":
        """The same ratios, `scale` times faster."""
        return Timing(
            lease=self.lease / scale,
            window=self.window / scale,
            deadline=self.deadline / scale,
            grace=self.grace / scale,
        )

    @property
    def line(self) -> str:
        """What it is, and as multiples of the lease."""
        named = {"lease": self.lease, "window": self.window, "deadline": self.deadline, "grace": self.grace}
        return ", ".join(f"{name} {s:g} s ({s / self.lease:g} leases)" for name, s in named.items())


def shipped() -> Timing:
    """The defaults of the settings."""
    from executor.settings import Account, Settings

    account, own = Account.__struct_fields__, Settings.__struct_fields__
    defaults = dict(zip(account[-len(Account.__struct_defaults__) :], Account.__struct_defaults__, strict=True))
    section = dict(zip(own[-len(Settings.__struct_defaults__) :], Settings.__struct_defaults__, strict=True))
    return Timing(
        lease=section["lease"], window=defaults["window"], deadline=defaults["deadline"], grace=defaults["grace"]
    )
