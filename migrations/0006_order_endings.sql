ALTER TABLE `acme_orders` ADD `begun_after` integer;--> statement-breakpoint
ALTER TABLE `acme_orders` ADD `leave_until` integer;--> statement-breakpoint
ALTER TABLE `acme_orders` ADD `issued_at` integer;--> statement-breakpoint
-- Until now a dropped order was one that failed.
UPDATE `acme_orders` SET `state` = 'dropped' WHERE `problem` = 'unwanted';