-- Which model was in production on a day (UTC), from when to when, who promoted it, and why?
-- Several rows: the champion changed on that day. An empty "until": it is still the champion. "deleted" is 1 for a
-- model that was deleted since.
-- empty: no model was the champion on that day
-- :day  a day such as 2026-11-25, in UTC; default: today
WITH event AS (
    SELECT
        event.id,
        event.at,
        (
            SELECT MAX(promoted.id)
            FROM promotion AS promoted
            WHERE
                promoted.id <= event.id
                AND promoted.stage = 'champion'
                AND NOT EXISTS (
                    SELECT 1
                    FROM promotion AS later
                    WHERE later.model_id = promoted.model_id AND later.id > promoted.id AND later.id <= event.id
                )
        ) AS champion_row
    FROM promotion AS event
),
compared AS (
    SELECT
        id,
        at,
        champion_row,
        LAG(champion_row) OVER (ORDER BY id) AS row_before
    FROM event
),
period AS (
    SELECT
        champion_row,
        at AS since,
        LEAD(at) OVER (ORDER BY id) AS until
    FROM compared
    WHERE COALESCE(champion_row, 0) <> COALESCE(row_before, 0)
)
SELECT
    promotion.model_id,
    period.since,
    period.until,
    promotion.who,
    promotion.why,
    CASE
        WHEN EXISTS (
            SELECT 1
            FROM promotion AS later
            WHERE later.model_id = promotion.model_id AND later.id > promotion.id AND later.stage = 'deleted'
        ) THEN 1
        ELSE 0
    END AS deleted
FROM period
INNER JOIN promotion ON period.champion_row = promotion.id
WHERE
    period.since < :until
    AND (period.until IS NULL OR (period.until > :since AND period.until > period.since))
ORDER BY period.since, promotion.id
