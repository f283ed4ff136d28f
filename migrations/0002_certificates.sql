CREATE TABLE `certificates` (
	`id` text PRIMARY KEY NOT NULL,
	`chain` text NOT NULL,
	`private_key` blob NOT NULL,
	`names` text NOT NULL,
	`issuer` text NOT NULL,
	`not_before` integer NOT NULL,
	`not_after` integer NOT NULL,
	`created_at` integer NOT NULL
);
