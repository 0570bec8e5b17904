-- One row a scheduled flight, whether it landed or not: what is known before departure, as examples.sql has it.
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
    CAST(w.temp AS FLOAT) AS temp,                              -- °F
    CAST(w.dewp AS FLOAT) AS dewp,                              -- °F
    CAST(w.humid AS FLOAT) AS humid,                            -- %
    CAST(w.wind_dir AS FLOAT) AS wind_dir,                      -- degrees; missing in variable wind
    CAST(w.wind_speed AS FLOAT) AS wind_speed,                  -- mph
    CAST(w.wind_gust AS FLOAT) AS wind_gust,                    -- mph; missing where there was none
    CAST(w.precip AS FLOAT) AS precip,                          -- inches in the hour
    CAST(w.pressure AS FLOAT) AS pressure,                      -- hPa
    CAST(w.visib AS FLOAT) AS visib                             -- miles, 10 at most
FROM (
    SELECT *, make_timestamp(year, month, day, hour, minute, 0) AS scheduled_at
    FROM flights
) AS f
LEFT JOIN weather AS w ON w.origin = f.origin AND w.time_hour = f.time_hour
WHERE (CAST(@window_start AS TIMESTAMP) IS NULL OR f.scheduled_at >= CAST(@window_start AS TIMESTAMP))
  AND (CAST(@window_end AS TIMESTAMP) IS NULL OR f.scheduled_at < CAST(@window_end AS TIMESTAMP))
