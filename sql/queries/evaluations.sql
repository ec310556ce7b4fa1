-- What has every evaluation said so far, newest first, and what remains without twins of training images?
SELECT
    created_at,
    id,
    model_id,
    split,
    n,
    accuracy,
    macro_f1,
    twin_free_n,
    twin_free_accuracy,
    twin_free_macro_f1
FROM evaluation
ORDER BY created_at DESC, id DESC
