ALTER TABLE `acme_orders` ADD `instead_of` text;--> statement-breakpoint
ALTER TABLE `acme_orders` ADD `leave_until` integer;--> statement-breakpoint
ALTER TABLE `acme_orders` ADD `issued_at` integer;