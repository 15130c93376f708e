"""The demo shop: a simulated shop whose customers can be understood, bored and won.

`world.DemoWorld` is the world; its state steps one day at a time, given what was recommended. `write_drops` lets it
live without recommendations and writes what a shop would: one raw drop a day. All constants are in
`config.WorldConfig`; the names in brackets below are theirs. Everything random comes from `seed`, the day, and one
stream of numbers per matter.

**The want** (`wants`). One number, on a log scale, drives all that people do. A user wants an item by the sum of

- their taste for its shelf: for the group [taste_spread], shifted by age, gender and country, and for the shelf within
  the group [shelf_spread];
- the shelf's appeal to everybody, and its season: swing x cos(days from the peak), over the year (`shelves.SHELVES`);
- their liking of the brand [brand_spread], and of its looks: a product of two style vectors [style_dim,
  style_spread], where an item's comes from its colour and its trait, both words of the title;
- minus price_weight x (price level - budget)^2; plus deal_weight x the log of this week's price cut;
- the item's quality [quality_spread];
- a need of its shelf [need_strength], with loyalty to the brand that the need came from, and once more, for a refill,
  to the very item [loyalty];
- minus rest: a shelf just bought from is not wanted [rest_weight] until rest_days have passed (a refill: half its gap);
- minus satiation: satiation_weight for each item of the shelf seen lately, fading by satiation_memory a day. It sets in
  within a visit too: the third phone in a row is duller than the first.

**A day.** Weekly newcomers join. Each user visits with chance visit_rate x weekday x need_pull (with a need)
x exp(-boredom_brake x boredom). A visitor comes for a shelf (drawn by its want), has 1 + Poisson(mean_slots - 1) slots,
and fills a Binomial(slots, list_share) of them from the top of the list, if the shop recommends; the rest are drawn,
without replacement, in proportion to exp(want + focus_weight if of that shelf + herd_weight x log(1 + this week's
sales)). Each item looked at is a view; it is clicked with chance logistic(click_intercept + click_slope x want), then
carted likewise, then bought with chance buy_share; one purchase a shelf and visit.

**What a purchase starts.** It ends the shelf's need. A refill (coffee, ink) is needed again after its usual gap, give
or take 15 %. Other purchases make what goes with them needed, some days later and mostly of the same brand: phone,
case and charger; printer, ink and paper. An unmet need passes after need_window days.

**Boredom** (`boredom`). A visit without a click adds 1 to a user's boredom; one with a click leaves boredom_memory of
it, a day away boredom_relief. At a visit, a user leaves for good with chance leave_base + leave_slope x boredom^2. So
lists of one favourite shelf pay tonight, and tire people out; with satiation_weight = 0 they only pay.

**A night.** Tastes wander [taste_step] and return home [taste_return]; each week hobby_share of the users swap their
favourite group for another. Items run out, come back, or are given up [stock_out, restock, retire]; each week
deal_share of them get a price cut, and new goods arrive.
"""
