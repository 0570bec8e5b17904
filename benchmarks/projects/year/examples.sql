-- All 19 columns, the label beside them; part says which rows are held out.
SELECT * FROM flights
