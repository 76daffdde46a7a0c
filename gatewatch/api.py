"""Every operation of the API, for both clients; ``gatewatch.operations`` says what each does."""

from gatewatch import operations as of
from gatewatch.binding import listing, operation, submission


class Api:
    """The operations, as methods of a client."""

    alive = operation(of.service.alive)
    ready = operation(of.service.ready)
    info = operation(of.service.info)
    metrics = operation(of.service.metrics)

    create = operation(of.detectors.create)
    detectors = operation(of.detectors.detectors)
    detector = operation(of.detectors.detector)
    delete = operation(of.detectors.delete)
    export = operation(of.detectors.export)
    import_ = operation(of.detectors.import_)

    fit = submission(of.learning.fit)
    extend = submission(of.learning.extend)
    forget = submission(of.learning.forget)
    calibrate = submission(of.learning.calibrate)
    recalibrate = submission(of.learning.recalibrate)
    adapt = submission(of.learning.adapt)
    replay = submission(of.past.replay)
    jobs = listing(of.learning.jobs)
    job_info = operation(of.learning.job_info)
    cancel = operation(of.learning.cancel)
    gates = operation(of.learning.gates)

    score = operation(of.scoring.score)
    score_batch = operation(of.scoring.score_batch)
    score_many = operation(of.scoring.score_many)
    explain = operation(of.scoring.explain)
    map = operation(of.scoring.map)
    divergence = operation(of.scoring.divergence)

    threshold = operation(of.thresholds.threshold)
    set_threshold = operation(of.thresholds.set_threshold)
    preview = operation(of.thresholds.preview)
    calibration_scores = operation(of.thresholds.calibration_scores)

    versions = operation(of.versions.versions)
    version = operation(of.versions.version)
    fitted_images = listing(of.versions.fitted_images)
    promote = operation(of.versions.promote)
    rollback = operation(of.versions.rollback)
    delete_version = operation(of.versions.delete_version)
    compare = operation(of.versions.compare)
    shadow = operation(of.versions.shadow)
    set_shadow = operation(of.versions.set_shadow)
    remove_shadow = operation(of.versions.remove_shadow)

    traffic = operation(of.past.traffic)
    history = listing(of.past.history)
    image = operation(of.past.image)
    review = operation(of.past.review)
    reviews = listing(of.past.reviews)
    proposals = operation(of.past.proposals)
    apply_proposal = operation(of.past.apply_proposal)

    drift = operation(of.drift.drift)
    acknowledge = operation(of.drift.acknowledge)
    rebaseline = operation(of.drift.rebaseline)
    power = operation(of.drift.power)
    replay_drift = submission(of.drift.replay_drift)
    notices = listing(of.drift.notices)
    send_test_notice = operation(of.drift.send_test_notice)

    me = operation(of.admin.me)
    create_key = operation(of.admin.create_key)
    keys = operation(of.admin.keys)
    revoke_key = operation(of.admin.revoke_key)
    audit = listing(of.admin.audit)
