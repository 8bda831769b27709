"""Every bound of the house, with its reason. Services take a ``Limits``; tests pass tiny ones.

Each part of the house keeps its bounds together under its own heading.
"""

from dataclasses import dataclass

from nanobarter.core.units import DAY, HOUR, MINUTE, SECOND, Span


@dataclass(frozen=True)
class Limits:
    """The bounds in force in one node."""

    # -- store: one writer; a batch bounds how long a reader of the answer waits for the fsync
    store_batch_max: int = 256
    store_queue_max: int = 4096

    # -- network
    frame_bytes_max: int = 2 * 1024 * 1024 + 4352  # the largest share, whole, with its header and its envelope
    call_timeout: Span = Span(20 * SECOND)  # a home line with a full upload queue answers within it
    handshake_timeout: Span = Span(10 * SECOND)  # three round trips over the worst satellite line, and a slow disk
    half_open_max: int = 64  # a handshake holds about 100 KB; the oldest one makes room for a new one
    connections_max: int = 512  # at about 50 KB each, idle
    connections_reserved: int = 128  # of them for peers known before: strangers cannot keep them out
    idle_stranger: Span = Span(10 * MINUTE)  # one that did nothing for so long gives its place to another
    connections_per_address_max: int = 8  # people behind one router; more would let one machine fill the table
    peers_target: int = 32  # dial until so many are connected: a random graph of this degree never falls apart
    dials_at_once_max: int = 16
    known_peers_max: int = 10_000
    strangers_per_network_max: int = 32  # of one /24 or /48 among the known: a campus, and not an attacker's rack
    familiar_per_network_max: int = 8  # of it that keep their places for good
    addresses_per_peer_max: int = 4  # IPv4 and IPv6, at home and mapped
    records_per_answer_max: int = 64
    backoff_first: Span = Span(1 * SECOND)
    backoff_last: Span = Span(5 * MINUTE)  # a node that returns waits at most this long to be dialled again
    requests_at_once_max: int = 128  # of one peer; enough for 20,000 calls/s at 5 ms each
    bulk_at_once_max: int = 16  # of one peer; 16 MiB under way fill 1 Gbit/s at 100 ms, and shares have up to 2 MiB
    owed_bytes_max: int = 32 * 1024 * 1024  # request bodies in work and answers unsent, for one peer
    streams_at_once_max: int = 32
    stream_window: int = 256 * 1024
    idle_before_ping: Span = Span(60 * SECOND)  # shorter than the mapping timeout of home routers
    idle_before_ping_last: Span = Span(15 * MINUTE)  # where the routers bear it: 0.7 MB a month and peer
    silence_max: Span = Span(20 * SECOND)  # a ping unanswered or a write that does not move for so long: dead
    proof_timeout: Span = Span(5 * SECOND)  # an older connection answers a ping within it or gives way to a new one
    check_rest: Span = Span(10 * SECOND)  # between dialling the same peer back
    check_patience: Span = Span(5 * SECOND)  # a home line answers a dial within it, or a router dropped it
    checks_at_once_max: int = 4
    direct_patience: Span = Span(1 * SECOND)  # a dial that hangs longer meets a router that drops; other ways begin
    relay_after: Span = Span(1 * SECOND)  # what reverse dials and meetings get before a relay is burdened
    meeting_patience: Span = Span(6 * SECOND)  # both SYNs are repeated after one second and after three
    meetings_at_once_max: int = 4  # nodes that are met through common peers; each costs some SYNs
    relay_pairs_max: int = 16  # of others, through this node: two streams and at most 1 MiB of memory each
    relay_pairs_per_node_max: int = 4  # asked for by one node
    relay_bytes_per_s: int = 256 * 1024  # of one pair, each way: a tenth of a home line's upload, and audits fit
    beacon_period: Span = Span(10 * MINUTE)  # a node that joins asks at once; this is for those that were cut off
    beacons_per_s: int = 20  # of all others on the local network: 1 ms of signatures a second
    neighbours_max: int = 256  # found by beacon and not met: more than a home has
    port_map_span: Span = Span(2 * HOUR)  # what RFC 6886 recommends; renewed at half
    port_map_rest: Span = Span(10 * MINUTE)  # until a router that said nothing is asked again: laptops move
    misbehaved_first: Span = Span(5 * SECOND)  # a first breach may be a fault that a restart mends
    misbehaved_last: Span = Span(10 * MINUTE)  # who goes on breaking the protocol costs a handshake in ten minutes
    node_record_valid: Span = Span(7 * DAY)  # a machine that was off over a week is found through others

    # -- distributed hash table
    dht_values_max: int = 20_000  # kept for others: 20 MB; a market of 10,000 nodes tells 20,000, eight times each
    dht_datagrams_per_s: int = 50  # of one address, with a burst of four seconds: a walk asks a node a few times
    dht_datagrams_all_per_s: int = 1000  # a tenth of a core at 0.1 ms for a signature
    dht_contacts_wanted: int = 64  # below it, addresses of peers are followed
    dht_refresh_every: Span = Span(1 * HOUR)
    dht_refresh_pause: Span = Span(2 * SECOND)
    dht_carried_max: int = 64  # values of others that are told again in an hour: 64 walks of ten datagrams

    # -- gossip
    items_max: int = 100_000  # about 200 MB of bids; the matcher's book has the same order of size
    items_per_author_max: int = 512  # one node's bids, keysets and withdrawals; the default market has 1,000 nodes
    item_valid_max: Span = Span(31 * DAY)  # how long a withdrawal may have to be remembered
    gossip_bytes_per_s: int = 100 * 1024  # of one peer's pushes or one author's items, as LND allows per peer
    gossip_burst_bytes: int = 4 * 1024 * 1024  # all items of a busy author at once, after a partition
    gossip_served_bytes_per_s: int = 1024 * 1024  # answers to one peer that catches up
    gossip_degree: int = 6  # GossipSub's D: peers that an item is passed on to; one's own goes to all
    gossip_beat: Span = Span(1 * SECOND)  # GossipSub's heartbeat; no beat happens while there is nothing to do
    gossip_queue_max: int = 4096  # items that wait for one peer; what does not fit is caught up with
    gossip_seen_max: int = 65_536  # ids of items refused or replaced lately, so that they are judged once
    gossip_faults_max: int = 16  # forged or senseless items until a peer is not listened to
    gossip_muted_for: Span = Span(10 * MINUTE)
    gossip_sync_every: Span = Span(5 * MINUTE)  # with one peer; finds what was lost on the way
    gossip_sync_tries_max: int = 5
    gossip_proofs_max: int = 512  # one per offender; 60 MB if all were as large as can be, 1 MB as they are
    court_convictions_max: int = 10_000  # kept for ever, some KB each; a market has fewer nodes

    # -- mint
    request_bytes_max: int = 128 * 1024  # 64 notes in, 64 blinded notes out, about 300 bytes each
    request_notes_max: int = 64
    request_valid_max: Span = Span(15 * MINUTE)  # how long a body that was not honoured may stay a live cheque
    mint_issue_span: Span = Span(7 * DAY)  # a keyset issues for a week: many notes share it, few weeks are kept
    mint_redeem_span: Span = Span(35 * DAY)  # then a month and some days to spend them
    mint_purge_span: Span = Span(7 * DAY)  # then a week in which "retired" can still be told from "unknown"
    mint_keyset_lead: Span = Span(1 * DAY)  # keys are made and announced a day ahead of their window
    mint_alive_gap: Span = Span(60 * SECOND)  # unmarked for longer: the mint counts as having been down
    mint_sweep_span: Span = Span(60 * SECOND)  # how late an ended lease frees its space at most
    mint_sweep_rows_max: int = 10_000  # rows that one sweep deletes: about 50 ms of the one writer
    mint_queue_max: int = 256  # requests that wait for the mint; more wait in their connections
    mint_batch_max: int = 64  # requests that go through the mint together: about 0.1 s of CPU
    mint_batches_max: int = 3  # at once: one is checked while one is committed and one is signed
    mint_sign_together: int = 8  # of a batch, in one visit to a worker: fewer visits, and yet all cores at work
    mint_lock_min: int = 4  # MiB of notes: a pledge of 400 GB is less than ``mint_locks_max`` such locks
    mint_locks_per_node_max: int = 256  # of notes, without an outcome: two hours of a ring each half minute that fails
    mint_locks_max: int = 100_000  # live locks: bounds the work of a sweep and an audit
    mint_heads_kept: Span = Span(63 * DAY)  # an epoch's notes can be spent and asked after for so long
    heads_seen_per_node: int = 48  # two days of heads of one other mint: what contradicts them comes sooner
    heads_seen_nodes: int = 512  # at about 1 KB a head, 25 MB

    mint_memory_tick: Span = Span(20 * SECOND)  # how much a copied store may have lost without its owner seeing it
    mint_memory_wait: Span = Span(60 * SECOND)  # how long a mint of doubtful memory waits for peers that know better
    mint_memory_peers: int = 3  # answers that settle it: most of those who trade with a node know its last week
    mint_quarantine: Span = Span(24 * HOUR)  # and 8 delta: until what was locked before a restoration is over

    # -- wallet
    wallet_tries_max: int = 4  # of one call; later ones are the background round's, so that callers can go on
    wallet_backoff: Span = Span(500)  # doubles with each try: four tries take about 4 s beside the waiting
    wallet_round: Span = Span(30 * SECOND)  # a peer that restarts is asked again within it
    wallet_round_bodies_max: int = 64  # bodies sent again in one round; a mint that is down must not flood the line
    wallet_body_valid: Span = Span(5 * MINUTE)  # how long notes can hang on an unanswered body; below the mint's bound
    wallet_resizes_max: int = 8  # swaps before one payment: each merges 64 notes or makes the last split
    wallet_keysets_max: int = 64  # announcements taken from one issuer at once: 4 kinds, 8 windows, changed terms
    wallet_refresh_ahead: Span = Span(7 * DAY)  # notes are renewed a week before they end
    wallet_refresh_max: int = 6_400  # notes renewed by one command: a hundred swaps
    wallet_restore_batches_max: int = 1_000  # of 64 coins per denomination: more than a keyset's week ever sees
    wallet_journal_kept: Span = Span(70 * DAY)  # past every keyset's purge (49 days) and lock's take time
    wallet_incoming_max: int = 1_000  # lines of notes that wait for a mint that is away; 7 kB each at most
    wallet_events_kept: int = 100_000  # a ledger that follows daily never meets the edge

    # -- local API: one person with a few terminals
    api_connections_max: int = 64
    api_body_bytes_max: int = 256 * 1024  # the longest list of folders a command line can name
    api_request_timeout: Span = Span(10 * SECOND)  # to send the request; the answer may take hours

    # -- storage engine: what is in memory at once is about uploads x 16 MiB and batches x 1 MiB
    storage_uploads_max: int = 2  # packs being sealed or stored at once: what is sent has less than two in memory
    storage_batch_bytes_max: int = 1024 * 1024  # chunks handed to a worker together: small files come in thousands
    storage_batch_chunks_max: int = 512
    storage_workers_max: int = 2  # batches compressed at once; a backup leaves the rest of the machine alone
    storage_listings_max: int = 256  # directories per transaction of the unchanged-files table
    storage_links_max: int = 100_000  # files with several names remembered in a walk; others are read per name
    storage_racy: Span = Span(2 * SECOND)  # a file changed so shortly before it was read is read again (git: "racy")
    storage_open_bytes_max: int = 32 * 1024 * 1024  # packs kept open while restoring: two of the largest
    storage_fetches_max: int = 4  # packs fetched ahead of their use
    storage_lookahead_max: int = 64  # files whose packs are asked for before their turn
    storage_catalog_bytes_max: int = 2 * 1024 * 1024 * 1024  # unpacked; 40 bytes per chunk of 256 KiB: 12 TB
    storage_waste_percent: int = 50  # a pack with more waste is packed anew: space is bought for at most twice its use
    storage_airy_packs_min: int = 8  # mostly empty packs that are worth joining; each backup leaves a small one

    # -- vault and placement
    vault_range_bytes_max: int = 2 * 1024 * 1024 + 256  # the largest share and its header, on a quick line
    vault_skew_max: Span = Span(10 * MINUTE)  # how far a holder's clock may be off
    vault_nonces_max: int = 64 * 1024  # remembered asks that change something; ten minutes of 100 a second
    vault_grace: Span = Span(7 * DAY)  # an expired lease is kept this long, for holders who were away
    vault_orphans: Span = Span(90 * DAY)  # a rebuilt vault waits so long for a holder to show the contract of a lease
    vault_upload_span: Span = Span(1 * DAY)  # an allocation that was not committed by then is dropped
    vault_list_max: int = 1000  # entries of one answer to ``list``: 40 KiB
    vault_head_bytes_max: int = 256 * 1024  # a head with 150 catalog packs at 12 peers each
    vault_disk_reserve_bytes: int = 256 * 1024 * 1024  # left free for the node's own database and log
    vault_sweep_period: Span = Span(1 * HOUR)
    share_range_bytes: int = 512 * 1024  # one write or read of a share; a home line carries it within call_timeout
    share_patience: Span = Span(2 * SECOND)  # what a laggard gets beyond the time that k others took
    sign_timeout: Span = Span(1 * SECOND)  # a peer that failed shows within it that it is back: a round trip, no more
    share_peer_rest: Span = Span(2 * MINUTE)  # a peer that failed is asked last for so long
    share_full_rest: Span = Span(1 * DAY)  # a peer without room for what it owes: people rarely make room sooner
    share_transfer_bytes_max: int = 8 * 1024 * 1024  # of shares under way at once, in memory with their masks
    throttle_wait_max: Span = Span(8 * SECOND)  # of a peer's range under a limit of bandwidth; well below call_timeout
    share_packs_max: int = 3  # packs put together at once in a search without a head, 16 MiB each; bounds memory
    share_pack_bytes_max: int = 28 * 1024 * 1024  # of packs under way at once, with their coded parts
    lease_step_quantity: int = 64  # notes become leases in steps, since their term runs from then on
    lease_head_reserve_bytes: int = 512 * 1024  # kept free in each lease for the vault's head
    trial_peers_max: int = 3  # strangers that keep one share each beside a whole plan, so that they can be audited
    share_copy_span: Span = Span(5 * MINUTE)  # for one share at such a stranger; nothing waits for it
    audit_period: Span = Span(15 * MINUTE)
    audit_cover: Span = Span(14 * DAY)  # every share is proven at least this often
    audit_offline: Span = Span(3 * DAY)  # a silent peer's shares stop counting after this
    audit_withheld_twelfths: int = 8  # of audit_offline, with a share not shown in any: lost, before repair moves it
    audit_round_max: int = 2000  # challenges in one round: 10 MB of answers
    audit_parallel: int = 8
    repair_period: Span = Span(max(DAY // 48, 5 * SECOND))  # half an hour; a round looks at every share
    catalog_pack_bytes_max: int = 16 * 1024 * 1024  # a part of the catalog; in memory once, with its shares
    recovery_asks_parallel: int = 16  # peers asked at once for the vault's head
    recovery_rounds_max: int = 10  # times that peers of peers are asked before giving up
    recovery_elsewhere: Span = Span(15 * SECOND)  # a walk through the hash table, with most of those on the way gone
    recovery_pause: Span = Span(500)  # between them; a first exchange of peers takes about as long
    recovery_leases_max: int = 4096  # of one vault at one peer; a lease a day for eleven years
    recovery_shares_max: int = 1_000_000  # that a search without a head looks at: about 1 TB as 2 MiB shares of 3-of-6
    recovery_headers_parallel: int = 8  # shares of one peer that are looked at together: hides the way there and back
    recovery_peek_bytes: int = 32 * 1024  # of a pack, to see its index: 700 chunks; a longer one is asked for again
    recovery_subsets_max: int = 256  # choices of k shares that are tried when some of them are forged
    recovery_levels_max: int = 4  # a head that points to packs that hold a head, and so on

    # -- swap
    swap_drafts_max: int = 64  # at once, own and others'; each holds a reservation and up to 70 KB of bids
    swap_left_max: int = 256  # left behind by proposers of one rank: they only wait, so more of them
    swap_hanging_max: int = 1024  # past their vote, of all proposers: 5 KB each
    swap_look_max: Span = Span(6 * SECOND)  # at a draft before it is approved: a call to each issuer, and a ping
    swap_looks_max: int = 64  # at once; the oldest one makes way
    swap_looks_proposer_max: int = 8  # of them at drafts of one proposer
    swap_smaller_max: int = 8  # drafts of one ring in a row, each smaller: every party may find once that it has less
    swap_unvetted_percent: int = 10  # of a bid, held by all rings of one proposer who is not vetted
    swap_strangers_percent: int = 30  # of a bid, held by the rings of all such proposers: the rest is for who is known
    swap_strangers_rings_max: int = 32  # of theirs together: half of the drafts at once
    swap_unvetted_rings_max: int = 8  # of one of them, broken ones with a lock that is not back among them
    swap_left_percent: int = 50  # of a bid for who left a lock behind, with that: who died may go on with the rest
    swap_vetted_after: Span = Span(14 * DAY)  # since the first ring with it settled: a month's lease is half over
    swap_vetted_rings: int = 3  # settled with it: once may be luck, and each costs its disk something
    swap_vetted_enough: int = 5  # vetted nodes from which on newcomers get less: the fewest that shares are spread over
    swap_standings_max: int = 10_000  # nodes remembered, 60 bytes each; those not vetted go first
    swap_watched_max: int = 1024  # agreements of others with a lock at our mint; about 4 KB each
    swap_watched_signer_max: int = 64  # of them from one proposer before a lock is made, which is a matter of seconds
    swap_call_timeout: Span = Span(5 * SECOND)  # a message of a ring is small; half of the time to approve
    swap_retry_first: Span = Span(500)
    swap_retry_max: Span = Span(8 * SECOND)  # while everybody waits, up to T_vote
    swap_poll_max: Span = Span(60 * SECOND)  # afterwards: a 15th of the shortest usual delta
    swap_overtaken: Span = Span(1 * SECOND)  # how long a LOCKED is held that came before its AGREED was recorded
    swap_push_tries: int = 8  # an issuer's push helps those who are up; who was down asks by itself
    swap_kept: Span = Span(40 * DAY)  # ended drafts answer late questions until all their locks have lapsed
    swap_refused_kept: Span = Span(10 * MINUTE)  # drafts that ended before an agreement: a draft is good for 2 min
    swap_refused_max: int = 1024  # of them, 0.6 KB each; more end sooner only where somebody wants to fill the disk
    swap_broken_max: int = 10_000  # agreements that came to nothing, 0.6 KB each and 0.2 KB a party
    swap_questions_max: int = 64  # drafts that wait for persons, at once: more than anybody reads
    swap_questions_bid_max: int = 4  # of them about one own bid, or from one proposer
    swap_questions_over_max: int = 1024  # kept until they expire, so that nobody is asked twice; 70 KB each at most
    swap_questions_over_signer_max: int = 16  # of them from one proposer: four times what it may ask at once
    swap_question_life_max: Span = Span(7 * DAY)  # of others' questions; bids change faster than that
    swap_question_tries: int = 16  # drafts made on one set of consents
    swap_ask_again: Span = Span(10 * MINUTE)  # to somebody who acknowledged but may have lost his answer
    # -- market: what one node remembers about failed proposals
    market_backoff_doublings_max: int = 6  # from half a second to half a minute
    market_memory_max: int = 1024  # cycles and pairs remembered per bid; forgetting costs one more try
    market_busy: Span = Span(3 * SECOND)  # how long a bid that is in another's draft is left alone: as drafts take
    market_silence: Span = Span(5 * SECOND)  # how long a ring waits for one of its issuers that may be restarting

    # -- reliability of peers, as seen from here
    reliability_peers_max: int = 4096  # remembered, 200 bytes each; strangers unheard for longest give way to new ones
    ping_peers_max: int = 256  # watched at once: a quarter of a ping per second, and more than any code needs
    ping_parallel: int = 32
    ping_timeout: Span = Span(10 * SECOND)  # a home line that is busy uploading answers within it

    # -- ledger
    ledger_batch_max: int = 500  # wallet events booked in one commit: a few ms of the one writer
    ledger_deals_max: int = 5_000  # newest agreements that rates are made from; older ones weigh next to nothing


LIMITS = Limits()
