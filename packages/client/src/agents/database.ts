// Written by `tidemark schema types` for the migrations of apps/agents.
export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[]

export type Database = {
  public: {
    Tables: {
      agent_executions: {
        Row: {
          agent_instance_id: string | null
          agent_type: Database['public']['Enums']['agent_type']
          cancel_requested: boolean
          completed_at: string | null
          created_at: string
          error_message: string | null
          execution_time_seconds: number | null
          id: string
          input_data: Json
          max_retries: number
          next_retry_at: string | null
          output_data: Json | null
          previous_status: Database['public']['Enums']['task_status'] | null
          priority: Database['public']['Enums']['task_priority']
          quality_score: number | null
          retry_count: number
          session_id: string | null
          started_at: string | null
          status: Database['public']['Enums']['task_status']
          status_version: number
          task_id: string
          task_type: string
          updated_at: string
          user_id: string | null
          version: number
        }
        Insert: {
          agent_instance_id?: string | null
          agent_type: Database['public']['Enums']['agent_type']
          cancel_requested?: boolean
          completed_at?: string | null
          created_at?: string
          error_message?: string | null
          execution_time_seconds?: number | null
          id?: string
          input_data?: Json
          max_retries?: number
          next_retry_at?: string | null
          output_data?: Json | null
          previous_status?: Database['public']['Enums']['task_status'] | null
          priority?: Database['public']['Enums']['task_priority']
          quality_score?: number | null
          retry_count?: number
          session_id?: string | null
          started_at?: string | null
          status?: Database['public']['Enums']['task_status']
          status_version?: number
          task_id: string
          task_type: string
          updated_at?: string
          user_id?: string | null
          version?: number
        }
        Update: {
          agent_instance_id?: string | null
          agent_type?: Database['public']['Enums']['agent_type']
          cancel_requested?: boolean
          completed_at?: string | null
          created_at?: string
          error_message?: string | null
          execution_time_seconds?: number | null
          id?: string
          input_data?: Json
          max_retries?: number
          next_retry_at?: string | null
          output_data?: Json | null
          previous_status?: Database['public']['Enums']['task_status'] | null
          priority?: Database['public']['Enums']['task_priority']
          quality_score?: number | null
          retry_count?: number
          session_id?: string | null
          started_at?: string | null
          status?: Database['public']['Enums']['task_status']
          status_version?: number
          task_id?: string
          task_type?: string
          updated_at?: string
          user_id?: string | null
          version?: number
        }
        Relationships: [
          {
            foreignKeyName: 'agent_executions_agent_instance_id_fkey'
            columns: ['agent_instance_id']
            isOneToOne: false
            referencedRelation: 'agent_instances'
            referencedColumns: ['id']
          },
        ]
      }
      agent_instances: {
        Row: {
          agent_id: string
          agent_type: Database['public']['Enums']['agent_type']
          configuration: Json
          created_at: string
          current_task_id: string | null
          id: string
          last_activity: string
          last_heartbeat: string
          performance_thresholds: Json
          previous_status: Database['public']['Enums']['agent_status'] | null
          resource_limits: Json
          status: Database['public']['Enums']['agent_status']
          status_reason: string | null
          status_version: number
          total_tasks_completed: number
          total_tasks_failed: number
          updated_at: string
          version: number
        }
        Insert: {
          agent_id: string
          agent_type: Database['public']['Enums']['agent_type']
          configuration?: Json
          created_at?: string
          current_task_id?: string | null
          id?: string
          last_activity?: string
          last_heartbeat?: string
          performance_thresholds?: Json
          previous_status?: Database['public']['Enums']['agent_status'] | null
          resource_limits?: Json
          status?: Database['public']['Enums']['agent_status']
          status_reason?: string | null
          status_version?: number
          total_tasks_completed?: number
          total_tasks_failed?: number
          updated_at?: string
          version?: number
        }
        Update: {
          agent_id?: string
          agent_type?: Database['public']['Enums']['agent_type']
          configuration?: Json
          created_at?: string
          current_task_id?: string | null
          id?: string
          last_activity?: string
          last_heartbeat?: string
          performance_thresholds?: Json
          previous_status?: Database['public']['Enums']['agent_status'] | null
          resource_limits?: Json
          status?: Database['public']['Enums']['agent_status']
          status_reason?: string | null
          status_version?: number
          total_tasks_completed?: number
          total_tasks_failed?: number
          updated_at?: string
          version?: number
        }
        Relationships: []
      }
      agent_metrics: {
        Row: {
          agent_instance_id: string | null
          agent_type: Database['public']['Enums']['agent_type']
          average_execution_time: number
          average_quality_score: number
          created_at: string
          id: string
          period_end: string
          period_start: string
          success_rate: number
          tasks_completed: number
          tasks_failed: number
          version: number
        }
        Insert: {
          agent_instance_id?: string | null
          agent_type: Database['public']['Enums']['agent_type']
          average_execution_time?: number
          average_quality_score?: number
          created_at?: string
          id?: string
          period_end: string
          period_start: string
          success_rate?: number
          tasks_completed?: number
          tasks_failed?: number
          version?: number
        }
        Update: {
          agent_instance_id?: string | null
          agent_type?: Database['public']['Enums']['agent_type']
          average_execution_time?: number
          average_quality_score?: number
          created_at?: string
          id?: string
          period_end?: string
          period_start?: string
          success_rate?: number
          tasks_completed?: number
          tasks_failed?: number
          version?: number
        }
        Relationships: [
          {
            foreignKeyName: 'agent_metrics_agent_instance_id_fkey'
            columns: ['agent_instance_id']
            isOneToOne: false
            referencedRelation: 'agent_instances'
            referencedColumns: ['id']
          },
        ]
      }
      alerts: {
        Row: {
          acknowledged_at: string | null
          acknowledged_by: string | null
          alert_type: string
          created_at: string
          entity_id: string
          entity_type: string
          fingerprint: string
          id: string
          labels: Json
          last_seen_at: string
          message: string
          notification_sent: boolean
          occurrences: number
          resolved_at: string | null
          resolved_by: string | null
          severity: string
          status: string
          timestamp: string
          updated_at: string
        }
        Insert: {
          acknowledged_at?: string | null
          acknowledged_by?: string | null
          alert_type: string
          created_at?: string
          entity_id: string
          entity_type: string
          fingerprint?: never
          id?: string
          labels?: Json
          last_seen_at?: string
          message: string
          notification_sent?: boolean
          occurrences?: number
          resolved_at?: string | null
          resolved_by?: string | null
          severity: string
          status?: string
          timestamp?: string
          updated_at?: string
        }
        Update: {
          acknowledged_at?: string | null
          acknowledged_by?: string | null
          alert_type?: string
          created_at?: string
          entity_id?: string
          entity_type?: string
          fingerprint?: never
          id?: string
          labels?: Json
          last_seen_at?: string
          message?: string
          notification_sent?: boolean
          occurrences?: number
          resolved_at?: string | null
          resolved_by?: string | null
          severity?: string
          status?: string
          timestamp?: string
          updated_at?: string
        }
        Relationships: []
      }
      api_metrics: {
        Row: {
          created_at: string
          endpoint: string
          error_message: string | null
          error_type: string | null
          id: string
          method: string
          response_time: number
          status_code: number
          success: boolean
          timestamp: string
          updated_at: string
        }
        Insert: {
          created_at?: string
          endpoint: string
          error_message?: string | null
          error_type?: string | null
          id?: string
          method: string
          response_time: number
          status_code: number
          success: boolean
          timestamp?: string
          updated_at?: string
        }
        Update: {
          created_at?: string
          endpoint?: string
          error_message?: string | null
          error_type?: string | null
          id?: string
          method?: string
          response_time?: number
          status_code?: number
          success?: boolean
          timestamp?: string
          updated_at?: string
        }
        Relationships: []
      }
      audit_log: {
        Row: {
          action: string
          actor: string | null
          actor_role: string | null
          created_at: string
          id: number
          new_data: Json | null
          old_data: Json | null
          record_id: string | null
          request_id: string | null
          table_name: string
        }
        Insert: {
          action: string
          actor?: string | null
          actor_role?: string | null
          created_at?: string
          id?: never
          new_data?: Json | null
          old_data?: Json | null
          record_id?: string | null
          request_id?: string | null
          table_name: string
        }
        Update: {
          action?: string
          actor?: string | null
          actor_role?: string | null
          created_at?: string
          id?: never
          new_data?: Json | null
          old_data?: Json | null
          record_id?: string | null
          request_id?: string | null
          table_name?: string
        }
        Relationships: []
      }
      circuit_breaker_events: {
        Row: {
          created_at: string
          epoch: number
          failure_count: number | null
          id: string
          instance: string
          new_state: string
          previous_state: string
          reason: string | null
          service_name: string
          timestamp: string
          updated_at: string
        }
        Insert: {
          created_at?: string
          epoch: number
          failure_count?: number | null
          id?: string
          instance?: string
          new_state: string
          previous_state: string
          reason?: string | null
          service_name: string
          timestamp?: string
          updated_at?: string
        }
        Update: {
          created_at?: string
          epoch?: number
          failure_count?: number | null
          id?: string
          instance?: string
          new_state?: string
          previous_state?: string
          reason?: string | null
          service_name?: string
          timestamp?: string
          updated_at?: string
        }
        Relationships: []
      }
      system_health: {
        Row: {
          active_agents: number
          active_alerts: number
          busy_agents: number
          cache_hit_rate: number | null
          completed_tasks: number
          component: string
          details: Json
          error_agents: number
          error_rate: number
          failed_tasks: number
          id: string
          idle_agents: number
          p95_response_time_ms: number | null
          period_minutes: number
          pool_utilisation: number | null
          queued_tasks: number
          realtime_lag_ms: number | null
          response_time_ms: number | null
          running_tasks: number
          status: string
          success_rate: number
          timestamp: string
          total_agents: number
          total_tasks: number
        }
        Insert: {
          active_agents?: number
          active_alerts?: number
          busy_agents?: number
          cache_hit_rate?: number | null
          completed_tasks?: number
          component?: string
          details?: Json
          error_agents?: number
          error_rate?: number
          failed_tasks?: number
          id?: string
          idle_agents?: number
          p95_response_time_ms?: number | null
          period_minutes?: number
          pool_utilisation?: number | null
          queued_tasks?: number
          realtime_lag_ms?: number | null
          response_time_ms?: number | null
          running_tasks?: number
          status?: string
          success_rate?: number
          timestamp?: string
          total_agents?: number
          total_tasks?: number
        }
        Update: {
          active_agents?: number
          active_alerts?: number
          busy_agents?: number
          cache_hit_rate?: number | null
          completed_tasks?: number
          component?: string
          details?: Json
          error_agents?: number
          error_rate?: number
          failed_tasks?: number
          id?: string
          idle_agents?: number
          p95_response_time_ms?: number | null
          period_minutes?: number
          pool_utilisation?: number | null
          queued_tasks?: number
          realtime_lag_ms?: number | null
          response_time_ms?: number | null
          running_tasks?: number
          status?: string
          success_rate?: number
          timestamp?: string
          total_agents?: number
          total_tasks?: number
        }
        Relationships: []
      }
      webhook_events: {
        Row: {
          attempt_log: Json | null
          attempts: number
          attempts_left_out: number
          claims: number
          created_at: string
          dead_reason: string | null
          dedupe_key: string
          entity_id: string | null
          entity_type: string | null
          error: string | null
          event_type: string
          headers: Json
          id: string
          lane: string
          next_attempt_at: string | null
          normaliser: number
          partition: number
          payload: Json
          processed_at: string | null
          provider: string
          queued: boolean
          raw: string
          received_at: string
          replay_id: string | null
          seq: number
          source_type: string
          status: string
          stream_id: string | null
          tenant: string
          trust: string
          turn: number | null
          updated_at: string
          verified: boolean
          worker: string | null
        }
        Insert: {
          attempt_log?: Json | null
          attempts?: number
          attempts_left_out?: number
          claims?: number
          created_at?: string
          dead_reason?: string | null
          dedupe_key: string
          entity_id?: string | null
          entity_type?: string | null
          error?: string | null
          event_type: string
          headers?: Json
          id: string
          lane: string
          next_attempt_at?: string | null
          normaliser?: number
          partition?: number
          payload: Json
          processed_at?: string | null
          provider: string
          queued?: boolean
          raw: string
          received_at?: string
          replay_id?: string | null
          seq?: never
          source_type?: string
          status?: string
          stream_id?: string | null
          tenant?: string
          trust: string
          turn?: number | null
          updated_at?: string
          verified: boolean
          worker?: string | null
        }
        Update: {
          attempt_log?: Json | null
          attempts?: number
          attempts_left_out?: number
          claims?: number
          created_at?: string
          dead_reason?: string | null
          dedupe_key?: string
          entity_id?: string | null
          entity_type?: string | null
          error?: string | null
          event_type?: string
          headers?: Json
          id?: string
          lane?: string
          next_attempt_at?: string | null
          normaliser?: number
          partition?: number
          payload?: Json
          processed_at?: string | null
          provider?: string
          queued?: boolean
          raw?: string
          received_at?: string
          replay_id?: string | null
          seq?: never
          source_type?: string
          status?: string
          stream_id?: string | null
          tenant?: string
          trust?: string
          turn?: number | null
          updated_at?: string
          verified?: boolean
          worker?: string | null
        }
        Relationships: []
      }
    }
    Views: { [_ in never]: never }
    Functions: {
      agent_metrics_maintain: { Args: { keep: string; at: string }; Returns: { made: string[]; dropped: string[] }[] }
      get_agent_health_summary: {
        Args: never
        Returns: {
          total_agents: number
          healthy_agents: number
          busy_agents: number
          error_agents: number
          success_rate: number
        }[]
      }
      publish_alert: {
        Args: { alert_type: string; entity_id: string; entity_type: string; message: string; severity?: string; labels?: Json }
        Returns: string
      }
      resolve_alert: {
        Args: { alert_type: string; entity_id: string; entity_type: string; message?: string; labels?: Json }
        Returns: string
      }
    }
    Enums: {
      agent_status: 'initializing' | 'idle' | 'busy' | 'processing' | 'waiting' | 'error' | 'offline' | 'maintenance'
      agent_type:
        | 'content_generator'
        | 'quiz_generator'
        | 'terrain_generator'
        | 'script_generator'
        | 'code_reviewer'
        | 'roblox_asset'
        | 'roblox_testing'
        | 'roblox_analytics'
      task_priority: 'low' | 'normal' | 'high' | 'urgent' | 'critical'
      task_status: 'pending' | 'queued' | 'running' | 'completed' | 'failed' | 'cancelled' | 'retrying'
    }
    CompositeTypes: { [_ in never]: never }
  }
}

type PublicSchema = Database[Extract<keyof Database, 'public'>]

export type Tables<Name extends keyof PublicSchema['Tables']> = PublicSchema['Tables'][Name]['Row']
export type TablesInsert<Name extends keyof PublicSchema['Tables']> = PublicSchema['Tables'][Name]['Insert']
export type TablesUpdate<Name extends keyof PublicSchema['Tables']> = PublicSchema['Tables'][Name]['Update']
export type Enums<Name extends keyof PublicSchema['Enums']> = PublicSchema['Enums'][Name]
