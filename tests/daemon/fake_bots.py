"""Bots that answer from memory."""

from dataclasses import dataclass

from nanobarter.daemon.facade_bots import BotOrder, BotRow, Bots, DealerBounds, DealRow


@dataclass
class FakeBots:
    """A keeper at work, and a trader who only tells what it would do."""

    asked: list[str]
    over: tuple[str, ...] = ()
    short: str = ""

    async def bots(self) -> Bots:
        self.asked.append("bots")
        order = BotOrder(gives="30d of nb1weak", wants="30d at nb1good", quantity_mib=64, omega="1700/1000", waits=True)
        bounds = DealerBounds(
            issuer_max_mib=200, issuer_mib=50, total_max_mib=1000, total_mib=500,
            loss_day="0.00", loss_day_max="9.54", loss_month="50.00", loss_month_max="100.00",
        )  # fmt: skip
        turned = DealRow(
            dealer="trader", gives="nb1weak", gives_mib=64, gets="nb1good", gets_mib=30, at=0,
            why="values have moved too far since the quote",
        )  # fmt: skip
        return Bots(
            symbol="ac",
            bots=(
                BotRow(name="keeper", state="on", does="orders space", short=self.short),
                BotRow(name="trader", state="dry", does="sells and buys", orders=(order,)),
            ),
            bounds=bounds,
            declined=(turned,),
            over=self.over,
        )
