r"""A simulated Glopal Order API and a simulated store, with faults to switch on.

Everything here speaks HTTP only and imports nothing of the hub, so that it can disagree with the hub. Both sides keep
their own books: what really happened, including the effects whose answer was lost on the way.

By hand
-------
`crossdock sandbox` (or `python -m sandbox`) listens on loopback and prints one line with both addresses::

    $ python -m sandbox --orders 200 --mix demo --faults demo --state sandbox.json
    {"glopal": "http://127.0.0.1:40001", "store": "http://127.0.0.1:40002"}

    $ curl -H 'Authorization: Bearer GL.sandbox-key' \
          'http://127.0.0.1:40001/v2/events/acme?event=order.ready&limit=5'
    $ curl -H 'Authorization: Bearer sandbox-store-token' 'http://127.0.0.1:40002/orders?reference=r-1'

`--help` lists the options. `--token` and `--store-token` set the keys; `python -m sandbox` takes them from
SANDBOX_GLOPAL_KEY and SANDBOX_STORE_TOKEN, too. It ends on Ctrl-C or SIGTERM, or when its parent process is gone, and
then writes its books to the `--state` file; a start that finds the file goes on from there and makes no new orders.
Traffic and faults belong to one run and are not kept.

From a test
-----------
`sandbox.running.RunningSandbox` starts the same process and has a method for each thing below::

    with RunningSandbox(orders=20, mix="all") as sandbox:
        sandbox.faults([{"where": "accept", "kind": "500_after", "times": 1}])
        ...
        assert sandbox.orders()[order_id]["accepts"] == 1
        assert sandbox.store_books()["duplicates"] == []

The control plane
-----------------
Paths under `/_sandbox` on both sides, without a key, JSON in and out:

- both: `GET books`, `GET health`, `POST reset`, and `GET`, `PUT`, `DELETE faults`.
- Glopal: `GET stories` (what orders there can be), `POST generate` (`count`, `seed`, `mix`, `hours`, `environment`),
  `GET document?order_id=`, `GET feed`, `POST change` (a document behind everybody's back), `POST advance` (`order_id`,
  `status`), `POST events` (raw events into the feed, `before_end` places before its end), `POST happen` (late cancels,
  waiting orders become ready), `POST release-late`, `POST settings` (`event_required`, `empty_cursor`,
  `missing_cursor`). Each takes a `store_id`; without one it means the first merchant.
- store: `POST ship`, `state`, `change`, `delete` (all by `reference`), `outage` (`on`), `fix-sku` (`sku`), `settings`
  (`idempotent`). A SKU that begins with UNKNOWN- or NOSTOCK- is refused until it is fixed.

Faults
------
A plan is a list of rules, or an object that also has a seed and a cap for each order::

    {"seed": 7, "max_per_key": 2, "rules": [
        {"where": "store.create", "kind": "timeout_after", "probability": 0.1, "params": {"seconds": 2}},
        {"where": "events", "kind": "429", "times": 3, "after": 10, "params": {"retry_after": 1, "http_date": true}},
        {"where": "*", "kind": "unknown_fields", "match": "310678-*", "max_per_key": 1}]}

- `where`: `events`, `order`, `accept`, `cancel`, `store.find`, `store.create`, `store.read`, `store.release`,
  `store.cancel`, `store.note`, `store.ping`, or a glob over them; default `*`.
- `match`: glob on the order id (Glopal; the store id for `events`) or on the reference (store).
- `probability`, `times` (hits in all), `after` (calls that pass first), `max_per_key` (hits for each order).

Kinds that spoil an answer, of which a call meets at most one, the first in the plan:

- `429` (`retry_after`, `http_date`), `429_bare` (no Retry-After): nothing is done.
- `500_before`, `500_after` and so on with 502, 503, 504 (`retry_after`): without and with the effect.
- `timeout_before`, `timeout_after` (`seconds`): the call is held, then the connection closed.
- `reset_before`, `reset_after`: a TCP reset instead of an answer.
- `cut_body`, `broken_json`, `wrong_content_type` (`content_type`): the effect is done, its answer spoiled.
- `html` (`status`, `effect`), `huge` (`size_mb`, `chunked`, `effect`): without the effect unless `effect` is true.

Kinds that change a good answer, of which a call can meet several:

- `slow` (`seconds`), `unknown_fields`, `missing_field` (`field`, a dotted path such as `items.0.sku`).
- at `events`: `unknown_event` (stays in the feed), `duplicate_events`, `reordered_events`, `late_events` (`calls`: an
  event is not shown for so many calls, while its successors are), `links_other_host`.
- at `order`: `stale_read` (the status before the last change). At `store.find`: `lookup_lag` (`calls` or `seconds`
  after the create).

Faults are drawn from a hash of the seed, the rule and the call's place among its order's calls, so the same calls meet
the same faults however they are interleaved.
"""
