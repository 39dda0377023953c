/** The tables of reanna_router.db as the application creates them: ids and times are text, and foreign keys are declared, not enforced. */
export const legacySchema = `
CREATE TABLE tours (
  id TEXT PRIMARY KEY,
  agent_id TEXT NOT NULL,
  start_time TEXT NOT NULL,
  end_time TEXT NOT NULL,
  status TEXT NOT NULL,
  route_data TEXT,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL
);
CREATE TABLE property_visits (
  id TEXT PRIMARY KEY,
  tour_id TEXT NOT NULL,
  address TEXT NOT NULL,
  property_id TEXT,
  scheduled_arrival TEXT NOT NULL,
  scheduled_departure TEXT NOT NULL,
  actual_arrival TEXT,
  actual_departure TEXT,
  status TEXT NOT NULL,
  sellside_agent_id TEXT,
  sellside_agent_name TEXT,
  contact_method TEXT,
  confirmation_status TEXT,
  constraint_indicator TEXT,
  square_footage INTEGER,
  video_url TEXT,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  FOREIGN KEY (tour_id) REFERENCES tours (id)
);
CREATE TABLE tasks (
  id TEXT PRIMARY KEY,
  visit_id TEXT NOT NULL,
  task_type TEXT NOT NULL,
  status TEXT NOT NULL,
  scheduled_time TEXT NOT NULL,
  completed_time TEXT,
  shipment_id TEXT,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  FOREIGN KEY (visit_id) REFERENCES property_visits (id)
);
CREATE TABLE feedback (
  id TEXT PRIMARY KEY,
  task_id TEXT NOT NULL,
  raw_feedback TEXT,
  processed_feedback TEXT,
  feedback_source TEXT NOT NULL,
  timestamp TEXT NOT NULL,
  sent_to_agent BOOLEAN DEFAULT 0,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  FOREIGN KEY (task_id) REFERENCES tasks (id)
);
`

/** What later releases of the application added to files that were there already. */
export const enhancedSchema = `
ALTER TABLE tours ADD COLUMN crm_sync_status TEXT DEFAULT 'not_synced';
ALTER TABLE tours ADD COLUMN crm_sync_timestamp TEXT;
ALTER TABLE tours ADD COLUMN crm_sync_error TEXT;
ALTER TABLE feedback ADD COLUMN notification_attempts INTEGER DEFAULT 0;
ALTER TABLE feedback ADD COLUMN last_notification_attempt TEXT;
ALTER TABLE feedback ADD COLUMN notification_error TEXT;
`
