-- The champion or the model that scored last, and another one that scored.
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
SELECT this.id AS model, other.id AS other
FROM this
CROSS JOIN other
