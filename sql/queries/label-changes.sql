-- Which images that two models scored have another label now, the surest change first?
-- The same image is the same path with the same contents. Files that one of the two rejected are left out.
-- :model  a model id or the start of one; default: the champion, if not the other one; else the one that scored last
-- :other  a model id or the start of one; default: the champion, if not the first one; else the one that scored last
WITH this AS (
    SELECT COALESCE(
        CAST(:model AS TEXT),
        (SELECT model_id FROM champion WHERE model_id <> COALESCE(CAST(:other AS TEXT), '')),
        (
            SELECT model_id
            FROM scoring_run
            WHERE model_id <> COALESCE(CAST(:other AS TEXT), '')
            ORDER BY started_at DESC, id DESC
            LIMIT 1
        )
    ) AS id
),
other AS (
    SELECT COALESCE(
        CAST(:other AS TEXT),
        (SELECT model_id FROM champion WHERE model_id <> (SELECT id FROM this)),
        (
            SELECT model_id
            FROM scoring_run
            WHERE model_id <> (SELECT id FROM this)
            ORDER BY started_at DESC, id DESC
            LIMIT 1
        )
    ) AS id
)
SELECT
    now.path,
    now.label,
    now.probability,
    before.label AS other_label,
    before.probability AS other_probability
FROM prediction AS now
INNER JOIN prediction AS before ON now.path = before.path AND now.sha256 = before.sha256
WHERE
    now.model_id = (SELECT id FROM this)
    AND before.model_id = (SELECT id FROM other)
    AND now.label <> before.label
ORDER BY now.probability DESC, now.path
