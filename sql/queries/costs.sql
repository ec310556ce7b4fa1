-- How many trainings, evaluations and scoring runs were there on each day (UTC), and how long did they take?
-- "seconds" is their sum, "longest" one of them. A scoring run that was interrupted counts without its time. "images"
-- counts evaluated images and files found for scoring.
-- empty: nothing ran in these days
-- :days  so many days back from now; default: 30

-- The moments of a scoring run as days and seconds, from their text, which is alike on every database. The number of a
-- day is that of Fliegel and Van Flandern (Communications of the ACM, 1968) without its constant.
WITH moment AS (
    SELECT id, n_found, 0 AS is_end, CAST(started_at AS TEXT) AS text FROM scoring_run WHERE started_at >= :since
    UNION ALL
    SELECT id, n_found, 1, CAST(finished_at AS TEXT) FROM scoring_run WHERE started_at >= :since
),
part AS (
    SELECT
        moment.*,
        CAST(SUBSTR(text, 1, 4) AS INTEGER) AS y,
        CAST(SUBSTR(text, 6, 2) AS INTEGER) AS m,
        CAST(SUBSTR(text, 9, 2) AS INTEGER) AS d,
        CAST(SUBSTR(text, 12, 2) AS INTEGER) * 3600
        + CAST(SUBSTR(text, 15, 2) AS INTEGER) * 60
        + CAST(SUBSTR(text, 18, 2) AS INTEGER) AS s
    FROM moment
),
clock AS (
    SELECT
        part.*,
        (
            1461 * (y + 4800 + (m - 14) / 12) / 4
            + 367 * (m - 2 - 12 * ((m - 14) / 12)) / 12
            - 3 * ((y + 4900 + (m - 14) / 12) / 100) / 4
            + d
        ) * CAST(86400 AS BIGINT) + s AS seconds
    FROM part
),
run AS (
    SELECT
        SUBSTR(MIN(text), 1, 10) AS day,
        'scoring' AS kind,
        MAX(n_found) AS images,
        1.0 * (MAX(CASE WHEN is_end = 1 THEN seconds END) - MAX(CASE WHEN is_end = 0 THEN seconds END)) AS seconds
    FROM clock
    GROUP BY id
    UNION ALL
    SELECT SUBSTR(CAST(created_at AS TEXT), 1, 10), 'training', NULL, seconds FROM model WHERE created_at >= :since
    UNION ALL
    SELECT SUBSTR(CAST(created_at AS TEXT), 1, 10), 'evaluation', n, seconds FROM evaluation WHERE created_at >= :since
)
SELECT
    day,
    kind,
    COUNT(*) AS runs,
    CAST(SUM(images) AS INTEGER) AS images,
    SUM(seconds) AS seconds,
    MAX(seconds) AS longest
FROM run
GROUP BY day, kind
ORDER BY day DESC, kind
