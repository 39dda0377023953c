/** The file's own tables, as the older versions of this app made them; made where they are missing. */
export const sqliteSchema = `
  CREATE TABLE IF NOT EXISTS sessions (
    session_id TEXT PRIMARY KEY,
    fsm_state TEXT NOT NULL DEFAULT 'welcome'
      CHECK (fsm_state IN ('welcome', 'support_people', 'strengths', 'worries', 'goals', 'summary', 'llm_conversation')),
    created_at DATETIME DEFAULT CURRENT_TIMESTAMP,
    last_activity DATETIME DEFAULT CURRENT_TIMESTAMP,
    completed BOOLEAN DEFAULT FALSE,
    completion_time DATETIME
  );
  CREATE INDEX IF NOT EXISTS idx_sessions_last_activity ON sessions (last_activity);
  CREATE INDEX IF NOT EXISTS idx_sessions_completed ON sessions (completed);
  CREATE TABLE IF NOT EXISTS chat_history (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id TEXT NOT NULL REFERENCES sessions (session_id) ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('user', 'bot')),
    message TEXT NOT NULL,
    ts DATETIME DEFAULT CURRENT_TIMESTAMP
  );
  CREATE INDEX IF NOT EXISTS idx_chat_session_ts ON chat_history (session_id, ts);
  CREATE TABLE IF NOT EXISTS user_responses (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id TEXT NOT NULL REFERENCES sessions (session_id) ON DELETE CASCADE,
    step TEXT NOT NULL CHECK (step IN ('support_people', 'strengths', 'worries', 'goals')),
    response TEXT,
    attempt_count INTEGER DEFAULT 0,
    created_at DATETIME DEFAULT CURRENT_TIMESTAMP,
    updated_at DATETIME DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (session_id, step)
  );
  CREATE TABLE IF NOT EXISTS risk_detections (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id TEXT NOT NULL REFERENCES sessions (session_id) ON DELETE CASCADE,
    trigger_phrase TEXT NOT NULL,
    user_message TEXT NOT NULL,
    detected_at DATETIME DEFAULT CURRENT_TIMESTAMP,
    resources_shown BOOLEAN DEFAULT TRUE
  );
  CREATE INDEX IF NOT EXISTS idx_risk_detections_session ON risk_detections (session_id);
  CREATE INDEX IF NOT EXISTS idx_risk_detections_date ON risk_detections (detected_at);
  CREATE TABLE IF NOT EXISTS session_summaries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id TEXT NOT NULL REFERENCES sessions (session_id) ON DELETE CASCADE,
    summary_type TEXT NOT NULL CHECK (summary_type IN ('partial', 'complete', 'llm_context')),
    summary_data TEXT NOT NULL,
    generated_at DATETIME DEFAULT CURRENT_TIMESTAMP
  );
  CREATE INDEX IF NOT EXISTS idx_summaries_session ON session_summaries (session_id);
  CREATE TABLE IF NOT EXISTS analytics (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event_type TEXT NOT NULL CHECK (event_type IN ('session_started', 'session_completed', 'step_completed', 'risk_triggered',
      'llm_fallback_used', 'distilbert_used', 'rule_based_used', 'llm_turn_completed')),
    event_data TEXT,
    session_count INTEGER DEFAULT 1,
    timestamp DATETIME DEFAULT CURRENT_TIMESTAMP
  );
  CREATE INDEX IF NOT EXISTS idx_analytics_event_timestamp ON analytics (event_type, timestamp);
  CREATE TABLE IF NOT EXISTS intent_classifications (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id TEXT NOT NULL REFERENCES sessions (session_id) ON DELETE CASCADE,
    user_message TEXT NOT NULL,
    classified_intent TEXT NOT NULL,
    confidence REAL CHECK (confidence >= 0 AND confidence <= 1),
    method TEXT NOT NULL CHECK (method IN ('distilbert', 'rule_based', 'hybrid')),
    fsm_state TEXT,
    inference_time_ms INTEGER CHECK (inference_time_ms >= 0),
    created_at DATETIME DEFAULT CURRENT_TIMESTAMP
  );
  CREATE INDEX IF NOT EXISTS idx_intent_session ON intent_classifications (session_id);
  CREATE TABLE IF NOT EXISTS system_logs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    log_level TEXT NOT NULL CHECK (log_level IN ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')),
    component TEXT NOT NULL,
    message TEXT NOT NULL,
    session_id TEXT REFERENCES sessions (session_id) ON DELETE CASCADE,
    error_trace TEXT,
    created_at DATETIME DEFAULT CURRENT_TIMESTAMP
  );
  CREATE INDEX IF NOT EXISTS idx_logs_level ON system_logs (log_level);
`
