SELECT * FROM trips
