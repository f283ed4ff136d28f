CREATE TABLE `acme_asks` (
	`directory` text NOT NULL,
	`at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `acme_asks_directory` ON `acme_asks` (`directory`,`at`);--> statement-breakpoint
ALTER TABLE `acme_orders` ADD `life_ms` integer;--> statement-breakpoint
UPDATE `acme_orders` SET `life_ms` = (SELECT `not_after` - `not_before` FROM `certificates` WHERE `certificates`.`id` = `acme_orders`.`certificate_id`);
