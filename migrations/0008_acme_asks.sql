CREATE TABLE `acme_asks` (
	`directory` text NOT NULL,
	`at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `acme_asks_directory` ON `acme_asks` (`directory`,`at`);--> statement-breakpoint
ALTER TABLE `acme_orders` ADD `life_ms` integer;