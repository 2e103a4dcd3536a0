"""The ledger's tables, step by step: a step is never changed once a release has written it."""

FIRST = """
CREATE TABLE frames (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    frame_id TEXT NOT NULL UNIQUE,
    part_id TEXT NOT NULL,
    source TEXT NOT NULL,
    judged_ms INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    reason TEXT NOT NULL,
    score REAL,
    p_value REAL,
    threshold REAL,
    version INTEGER,
    reference TEXT,
    reference_light REAL,
    log_ratio REAL NOT NULL,
    next_log_ratio REAL NOT NULL,
    signals BLOB,
    drift TEXT NOT NULL,
    image_sha256 TEXT,
    kept TEXT,
    asked INTEGER NOT NULL,
    audited INTEGER NOT NULL,
    timings TEXT NOT NULL,
    wire_id TEXT NOT NULL,
    published INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX frames_unpublished ON frames (seq) WHERE published = 0;
CREATE INDEX frames_kept ON frames (seq) WHERE kept IS NOT NULL;
CREATE INDEX frames_part ON frames (part_id);
CREATE INDEX frames_judged ON frames (judged_ms);
CREATE INDEX frames_reference ON frames (reference, seq);
CREATE TABLE feedback (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    frame_id TEXT NOT NULL,
    verdict TEXT NOT NULL,
    operator TEXT NOT NULL,
    region TEXT,
    received_ms INTEGER NOT NULL,
    effect TEXT NOT NULL
);
CREATE INDEX feedback_frame ON feedback (frame_id);
CREATE TABLE lessons (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    base INTEGER NOT NULL,
    through INTEGER NOT NULL,
    version INTEGER,
    reason TEXT NOT NULL
);
CREATE TABLE quarantine (frame_id TEXT PRIMARY KEY, at_ms INTEGER NOT NULL, reason TEXT NOT NULL);
CREATE TABLE versions (
    number INTEGER PRIMARY KEY, cause TEXT NOT NULL, who TEXT NOT NULL, created_at TEXT NOT NULL,
    sha256 TEXT NOT NULL
);
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, kind TEXT NOT NULL, detail TEXT NOT NULL,
    published INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX events_kind ON events (kind);
CREATE INDEX events_unpublished ON events (id) WHERE published = 0;
CREATE TABLE status (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

# Which good patch decided a frame's score (JSON), and answers that were taken back.
SECOND = """
ALTER TABLE frames ADD COLUMN nearest TEXT;
CREATE TABLE revoked (
    feedback_id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, who TEXT NOT NULL, reason TEXT NOT NULL
)
"""

# The label budget counts an hour's questions at every frame.
THIRD = "CREATE INDEX frames_asked ON frames (judged_ms) WHERE asked = 1 AND audited = 0"

# The verdict of a proposal on trial on a judged frame.
FOURTH = "ALTER TABLE frames ADD COLUMN trial TEXT"

# Light by channel, three doubles each: as estimated before a frame, as its version was taught, as estimated after it.
FIFTH = """
ALTER TABLE frames ADD COLUMN light BLOB;
ALTER TABLE frames ADD COLUMN taught_light BLOB;
ALTER TABLE frames ADD COLUMN next_light BLOB
"""

# Which backend gave the features that a frame was judged by, torch where none is named; and what was compared before.
SIXTH = """
ALTER TABLE frames ADD COLUMN backend TEXT;
CREATE TABLE certificates (
    version_sha256 TEXT NOT NULL, backend TEXT NOT NULL, made TEXT NOT NULL, at_ms INTEGER NOT NULL,
    parity TEXT NOT NULL,
    PRIMARY KEY (version_sha256, backend)
)
"""

# Which frames were imported: they were judged, and never passed the line.
SEVENTH = """
ALTER TABLE frames ADD COLUMN imported INTEGER NOT NULL DEFAULT 0;
CREATE VIEW line_frames AS SELECT * FROM frames WHERE imported = 0
"""

# What an import wrote before imported frames were marked: only imports have this source.
EIGHTH = "UPDATE frames SET imported = 1, published = 1, asked = 0, signals = NULL WHERE source = 'import'"

# Views on answers. `answers`: each with who revoked it, after which it no longer counts; and by which answer that
# counts its operator replaced it, and which was the operator's first on this frame. `standing`: each operator's newest
# answer that counts. `unanswered`: frames without any answer. `open_reviews`: people are asked, an answer could still
# be learned, and none stands.
NINTH = """
CREATE VIEW answers AS
    SELECT feedback.*, revoked.who AS revoked_by, (
        SELECT min(later.id) FROM feedback AS later
        WHERE later.frame_id = feedback.frame_id AND later.operator = feedback.operator AND later.id > feedback.id
        AND later.id NOT IN (SELECT feedback_id FROM revoked)
    ) AS replaced_by, (
        SELECT min(earlier.id) FROM feedback AS earlier
        WHERE earlier.frame_id = feedback.frame_id AND earlier.operator = feedback.operator
        AND earlier.id NOT IN (SELECT feedback_id FROM revoked)
    ) AS first_id
    FROM feedback LEFT JOIN revoked ON revoked.feedback_id = feedback.id;
CREATE VIEW standing AS SELECT * FROM answers WHERE revoked_by IS NULL AND replaced_by IS NULL;
CREATE VIEW unanswered AS SELECT * FROM frames WHERE frame_id NOT IN (SELECT frame_id FROM feedback);
CREATE VIEW open_reviews AS
    SELECT * FROM line_frames WHERE asked = 1 AND kept IS NOT NULL AND score IS NOT NULL
    AND frame_id NOT IN (SELECT frame_id FROM answers WHERE revoked_by IS NULL)
"""

# Events are deleted by their time. From here on kept images may be packed, which older Driftlines take for gone.
TENTH = "CREATE INDEX events_at ON events (at_ms)"

# How long a part was shown before it was answered for. An answer about a known part only tells of its operator, an
# unconfirmed one waits for a second person, who is asked: `teaching` are the others that were in time, `counting` the
# others that are not revoked. The other views as before, of answers that count. Whether a frame has one is written with
# it, so that years of answers do not slow the review queue down; and so is whether an unconfirmed answer is newer than
# all that count: then people are asked, whether they were before or not.
ELEVENTH = """
ALTER TABLE feedback ADD COLUMN looked_ms INTEGER;
CREATE INDEX feedback_operator ON feedback (operator, id);
CREATE INDEX feedback_checks ON feedback (operator, id) WHERE effect = 'check';
CREATE INDEX feedback_looks ON feedback (operator, id) WHERE looked_ms IS NOT NULL;
DROP VIEW open_reviews;
DROP VIEW standing;
DROP VIEW answers;
CREATE VIEW teaching AS SELECT * FROM feedback WHERE effect NOT IN ('late', 'check', 'unconfirmed');
CREATE VIEW counting AS
    SELECT * FROM feedback WHERE effect NOT IN ('check', 'unconfirmed')
    AND id NOT IN (SELECT feedback_id FROM revoked);
CREATE VIEW answers AS
    SELECT feedback.*, revoked.who AS revoked_by, (
        SELECT min(later.id) FROM counting AS later
        WHERE later.frame_id = feedback.frame_id AND later.operator = feedback.operator AND later.id > feedback.id
    ) AS replaced_by, (
        SELECT min(earlier.id) FROM counting AS earlier
        WHERE earlier.frame_id = feedback.frame_id AND earlier.operator = feedback.operator
    ) AS first_id
    FROM feedback LEFT JOIN revoked ON revoked.feedback_id = feedback.id;
CREATE VIEW standing AS
    SELECT * FROM answers WHERE replaced_by IS NULL AND revoked_by IS NULL AND effect NOT IN ('check', 'unconfirmed');
CREATE VIEW waiting_answers AS
    SELECT * FROM feedback WHERE effect = 'unconfirmed' AND id NOT IN (SELECT feedback_id FROM revoked)
    AND id > coalesce((SELECT max(id) FROM counting WHERE counting.frame_id = feedback.frame_id), 0);
ALTER TABLE frames ADD COLUMN answered INTEGER NOT NULL DEFAULT 0;
ALTER TABLE frames ADD COLUMN unconfirmed INTEGER NOT NULL DEFAULT 0;
UPDATE frames SET answered = 1 WHERE frame_id IN (SELECT frame_id FROM counting);
CREATE TRIGGER answer_came AFTER INSERT ON feedback BEGIN
    UPDATE frames SET
        answered = EXISTS (SELECT 1 FROM counting WHERE counting.frame_id = frames.frame_id),
        unconfirmed = EXISTS (SELECT 1 FROM waiting_answers WHERE waiting_answers.frame_id = frames.frame_id)
    WHERE frame_id = new.frame_id;
END;
CREATE TRIGGER answer_went AFTER INSERT ON revoked BEGIN
    UPDATE frames SET
        answered = EXISTS (SELECT 1 FROM counting WHERE counting.frame_id = frames.frame_id),
        unconfirmed = EXISTS (SELECT 1 FROM waiting_answers WHERE waiting_answers.frame_id = frames.frame_id)
    WHERE frame_id = (SELECT frame_id FROM feedback WHERE id = new.feedback_id);
END;
CREATE INDEX frames_open ON frames (seq)
    WHERE (unconfirmed OR asked AND NOT answered) AND imported = 0 AND kept IS NOT NULL AND score IS NOT NULL;
CREATE VIEW open_reviews AS
    SELECT * FROM line_frames
    WHERE (unconfirmed OR asked AND NOT answered) AND kept IS NOT NULL AND score IS NOT NULL
"""

# The audit log; what an older ledger knows is chained when it is opened (`daemon.ledger.chain`). And studies of how
# well people agree on known parts, with what they said of them, which teaches nothing. Which answer replaced another is
# looked up by frame: by operator it takes all of that operator's later answers.
TWELFTH = """
CREATE TABLE audit (
    id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, kind TEXT NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL,
    detail TEXT NOT NULL, digest TEXT NOT NULL
);
CREATE INDEX feedback_of_operator ON feedback (frame_id, operator, id);
CREATE INDEX audit_what ON audit (what);
CREATE INDEX audit_kind ON audit (kind, id);
CREATE TABLE studies (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, who TEXT NOT NULL, name TEXT NOT NULL,
    trials INTEGER NOT NULL, operators TEXT NOT NULL, truth TEXT NOT NULL
);
CREATE TABLE ratings (
    study INTEGER NOT NULL, operator TEXT NOT NULL, trial INTEGER NOT NULL, frame_id TEXT NOT NULL,
    verdict TEXT NOT NULL, at_ms INTEGER NOT NULL,
    PRIMARY KEY (study, operator, trial, frame_id)
)
"""

STEPS = (FIRST, SECOND, THIRD, FOURTH, FIFTH, SIXTH, SEVENTH, EIGHTH, NINTH, TENTH, ELEVENTH, TWELFTH)
