-- What became of the folders in MRI_INCOMING, and when were they last looked at?
-- Failed ones come first. "waiting": it is new or has changed, and may still be written. "failed": it is tried again,
-- after 5 minutes first, and after twice as long each time. A folder whose looked_at is before last_look_at is gone.
-- Without any folder there is one row with the last look. n_loose counts the files and links that are in no folder.
SELECT
    incoming_folder.folder,
    incoming_folder.state,
    incoming_folder.n_files,
    scoring_run.n_scored,
    scoring_run.n_abstained,
    scoring_run.n_rejected,
    incoming_folder.first_seen_at,
    incoming_folder.changed_at,
    incoming_folder.tried_at,
    incoming_folder.n_failures,
    incoming_folder.problem,
    incoming_folder.run_id,
    incoming_folder.looked_at,
    incoming_look.looked_at AS last_look_at,
    incoming_look.incoming,
    incoming_look.n_loose
FROM incoming_look
LEFT JOIN incoming_folder ON incoming_look.incoming = incoming_folder.incoming
LEFT JOIN scoring_run ON incoming_folder.run_id = scoring_run.id AND scoring_run.status = 'finished'
ORDER BY
    incoming_look.looked_at DESC,
    CASE incoming_folder.state WHEN 'failed' THEN 0 WHEN 'started' THEN 1 WHEN 'waiting' THEN 2 ELSE 3 END,
    incoming_folder.changed_at DESC,
    incoming_folder.folder
