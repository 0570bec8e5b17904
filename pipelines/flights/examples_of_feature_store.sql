-- One row a flight that landed, without the weather, which features.yaml adds as it was known at scheduled_at.
-- The flight's own dep_time, dep_delay, arr_time and air_time are known too late to be features.
SELECT
    concat(f.carrier, f.flight, '-', f.origin, '-', strftime(f.scheduled_at, '%Y%m%d')) AS flight_id,
    f.scheduled_at,
    CAST(f.month AS BIGINT) AS month,
    CAST(f.day AS BIGINT) AS day,
    CAST(isodow(f.scheduled_at) AS BIGINT) AS day_of_week,      -- 1 is Monday
    CAST(f.sched_dep_time AS BIGINT) AS sched_dep_time,         -- local, HHMM
    CAST(f.sched_arr_time AS BIGINT) AS sched_arr_time,         -- local at the destination, HHMM
    f.carrier,
    f.origin,
    f.dest,
    CAST(f.distance AS FLOAT) AS distance,                      -- miles
    CAST(f.arr_delay > 15 AS BIGINT) AS late
FROM (
    SELECT *, make_timestamp(year, month, day, hour, minute, 0) AS scheduled_at
    FROM flights
    WHERE arr_delay IS NOT NULL                                 -- cancelled and diverted flights have no label
) AS f
WHERE (CAST(@window_start AS TIMESTAMP) IS NULL OR f.scheduled_at >= CAST(@window_start AS TIMESTAMP))
  AND (CAST(@window_end AS TIMESTAMP) IS NULL OR f.scheduled_at < CAST(@window_end AS TIMESTAMP))
